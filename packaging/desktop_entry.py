"""The launcher for Linux desktops, by the Desktop Entry Specification."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

SUMMARY = "Draft a paragraph at once, on your own machine"
MIME_TYPES = ("text/plain", "text/markdown")
CATEGORIES = ("Office", "WordProcessor")
_PLAIN_ARGUMENT = re.compile(r"[\w./-]+", re.ASCII)


def desktop_folder() -> Path | None:
    folder = Path.home() / "Desktop"
    if shutil.which("xdg-user-dir"):
        answer = subprocess.run(["xdg-user-dir", "DESKTOP"], capture_output=True, text=True).stdout.strip()
        folder = Path(answer or folder)
    return folder if folder.is_dir() and folder != Path.home() else None


def desktop_entry(command: Sequence[str], icon: str, folder: Path | None = None) -> str:
    """command: opens a file that is its next argument. icon: a path, or a name in the icon theme.
    folder: where it is started.
    """
    lines = {
        "Type": "Application",
        "Name": "Mezzotint",
        "GenericName": "Writing assistant",
        "Comment": SUMMARY,
        "Exec": escape(" ".join([*map(quote, command), "%f"])),
        "Path": escape(str(folder)) if folder else "",
        "Icon": escape(icon),
        "Terminal": "false",
        "MimeType": "".join(f"{kind};" for kind in MIME_TYPES),
        "Categories": "".join(f"{category};" for category in CATEGORIES),
        "Keywords": "writing;editor;text;markdown;draft;",
        "StartupNotify": "true",
        "StartupWMClass": "Mezzotint",
    }
    return "[Desktop Entry]\n" + "".join(f"{key}={value}\n" for key, value in lines.items() if value)


def quote(argument: str) -> str:
    """One argument of Exec, by the Desktop Entry Specification."""
    if _PLAIN_ARGUMENT.fullmatch(argument):
        return argument
    for character in '\\"`$':
        argument = argument.replace(character, "\\" + character)
    return '"' + argument.replace("%", "%%") + '"'


def escape(value: str) -> str:
    """A value of type string, by the Desktop Entry Specification."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")
