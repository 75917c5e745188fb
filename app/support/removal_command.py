"""`mezzotint --remove-data`: in a dialog, or in the terminal where there is no display."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

from PySide6.QtWidgets import QApplication

from app.settings.store import SettingsStore, default_path
from app.support.own_data import DataPart, busy, data_parts, is_there, remove, size_bytes
from app.support.removal_dialog import RemovalDialog, refusal, remove_and_tell, size_text
from app.widgets.theme import palette, stylesheet, system_is_dark, theme_named


def remove_data(make_application: Callable[[], QApplication]) -> int:
    """→ the exit status."""
    settings = SettingsStore(default_path()).current
    if not _has_display():
        return remove_in_terminal(data_parts(settings.model_folders))
    app = make_application()
    theme = theme_named(settings.theme, system_is_dark())
    app.setPalette(palette(theme))
    app.setStyleSheet(stylesheet(theme))
    if reason := busy():
        refusal(reason, None).exec()
        return 1
    chosen: list[DataPart] = []
    dialog = RemovalDialog(data_parts(settings.model_folders), "Remove", None)
    dialog.chosen.connect(chosen.extend)
    dialog.exec()
    if chosen:
        remove_and_tell(chosen)
    return 0


def remove_in_terminal(parts: list[DataPart]) -> int:
    if reason := busy():
        print(f"Mezzotint’s data cannot be removed now. {reason}", file=sys.stderr)
        return 1
    chosen = []
    there = [part for part in parts if is_there(part)]
    for question, is_writers in (("Remove these?", False), ("Remove your own work too?", True)):
        asked = [part for part in there if part.is_writers is is_writers]
        if asked and _agrees(asked, question):
            chosen += asked
    problems = remove(chosen) if chosen else []
    print(*problems, sep="\n", file=sys.stderr)
    print("Nothing is removed." if not chosen else "Done. Your documents are where they were.")
    return 1 if problems else 0


def _agrees(parts: Iterable[DataPart], question: str) -> bool:
    for part in parts:
        print(f"  {size_text(size_bytes(part)):>12}  {part.label}")
        for folder in sorted({str(path.parent) for path in part.paths}):
            print(f"  {'':>12}  in {folder}")
    try:
        return input(f"{question} Type “yes”: ").strip().casefold() == "yes"
    except EOFError:
        print()
        return False


def _has_display() -> bool:
    named = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in named)
