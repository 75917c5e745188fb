"""The Help menu: keyboard shortcuts, diagnostics, the project's page, versions and licences."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import QUrl
from PySide6.QtGui import QAction, QDesktopServices, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

_OWN_FILES = (
    ("Inter and Vollkorn, the typefaces", "OFL-1.1"),
    ("Qt", "LGPL-3.0-only"),
)


class HelpMenu(QMenu):
    """collect: makes the text of the diagnostics; remove: asks what of Mezzotint's data is to go."""

    def __init__(
        self, bar: QMenuBar, collect: Callable[[], str], remove: Callable[[], object], window: QWidget
    ) -> None:
        super().__init__("&Help", window)
        self._window = window
        self.addAction(
            "Keyboard shortcuts",
            QKeySequence.StandardKey.HelpContents,
            lambda: self._show("Keyboard shortcuts", _table(shortcuts(bar))),
        )
        self.addAction("Collect diagnostics…", lambda: self._show_diagnostics(collect()))
        self.addSeparator()
        self.addAction("Look for a new version", open_page)
        self.addAction("About Mezzotint", lambda: self._show("About Mezzotint", about()))
        self.addSeparator()
        self.addAction("Remove Mezzotint’s data…", remove)

    def _show_diagnostics(self, text: str) -> None:
        from html import escape  # here and below: the first paint does not need it

        told = "<p>Nothing is sent. This holds none of your texts and no file names; look it over.</p>"
        self._show("Diagnostics", f"{told}<pre style='white-space: pre-wrap'>{escape(text)}</pre>", text)

    def _show(self, title: str, html: str, copied: str = "") -> None:
        from app.widgets.text_dialog import TextDialog

        TextDialog(title, html, copied, self._window).open()


def open_page() -> None:
    """Of the project, in the browser: Mezzotint itself asks nobody."""
    from app.support.project import project

    QDesktopServices.openUrl(QUrl(project().page))


def shortcuts(bar: QMenuBar) -> dict[str, list[tuple[str, str]]]:
    """What each menu's actions are called, and their keys."""
    menus = [menu for action in bar.actions() if isinstance(menu := action.menu(), QMenu)]
    return {_plain(menu.title()): list(_keys_of(menu.actions())) for menu in menus}


def _keys_of(actions: Iterable[QAction]) -> Iterable[tuple[str, str]]:
    for action in actions:
        name, _, shown = action.text().partition("\t")
        keys = " · ".join(key.toString(QKeySequence.SequenceFormat.NativeText) for key in action.shortcuts())
        if keys or shown:
            yield _plain(name), keys or shown


def _plain(text: str) -> str:
    return text.replace("&", "")


def _table(parts: dict[str, list[tuple[str, str]]]) -> str:
    from html import escape

    rows = ""
    for title, pairs in parts.items():
        rows += f"<tr><td colspan='2'><b>{escape(title)}</b></td></tr>"
        rows += "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in pairs)
    return f"<table width='100%' cellpadding='3'>{rows}</table>"


def about() -> str:
    from app.support.diagnostics import PACKAGES, licence, version
    from app.support.project import project

    packages = [(f"{package} {version(package)}", licence(package)) for package in PACKAGES]
    told = "<p>A writing assistant that drafts a paragraph at once, on your own computer. Apache-2.0.</p>"
    return f"<h3>Mezzotint {project().version}</h3>{told}{_table({'Made with': [*packages, *_OWN_FILES]})}"
