"""Help: what the shortcuts, the diagnostics and About say."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMenu, QPushButton

from app.support.diagnostics import licence, version
from app.support.project import project
from app.widgets.text_dialog import TextDialog
from app.window.help_menu import about, shortcuts
from app.window.main_window import MainWindow


def test_every_key_of_the_menus_is_listed(window: MainWindow) -> None:
    listed = shortcuts(window.top.menus)
    assert listed["Edit"][-1] == ("Replace…", "Ctrl+H")
    assert ("Keep", "Enter") in listed["Draft"]
    assert ("Full screen", "F11") in listed["View"]
    assert {"File", "Edit", "Draft", "View", "Help"} == set(listed)


class Browser(QObject):
    """Stands in for the writer's."""

    opened = Signal(QUrl)

    @Slot(QUrl)
    def open(self, page: QUrl) -> None:
        self.opened.emit(page)


@pytest.fixture
def opened(qapp: object) -> Iterator[list[str]]:
    """The pages that were opened."""
    pages: list[str] = []
    browser = Browser()
    browser.opened.connect(lambda page: pages.append(page.toString()))
    QDesktopServices.setUrlHandler("https", browser, "open")  # type: ignore[arg-type]
    yield pages
    QDesktopServices.unsetUrlHandler("https")


def test_the_dialogs_show_and_copy(window: MainWindow, opened: list[str]) -> None:
    menu = window.top.menus.actions()[-1].menu()
    assert isinstance(menu, QMenu)
    for action in menu.actions():
        action.trigger()
    assert opened == [project().page]
    dialogs = {dialog.windowTitle(): dialog for dialog in window.findChildren(TextDialog)}
    assert set(dialogs) == {"Keyboard shortcuts", "Diagnostics", "About Mezzotint"}
    copy = dialogs["Diagnostics"].findChildren(QPushButton)[0]
    copy.click()
    assert f"transformers {version('transformers')}" in QGuiApplication.clipboard().text()
    for dialog in dialogs.values():
        dialog.accept()


def test_about_tells_versions_and_licences() -> None:
    text = about()
    assert project().version in text
    assert version("PySide6-Essentials") in text
    assert "OFL-1.1" in text
    assert "LGPL-3.0" in licence("PySide6-Essentials")


@pytest.mark.parametrize("package", ["no-such-package"])
def test_a_package_that_is_not_there_is_told(package: str) -> None:
    assert (version(package), licence(package)) == ("not found", "")
