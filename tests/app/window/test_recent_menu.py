"""The files that were open last, in the menu and as an offer."""

from pathlib import Path

from pytestqt.qtbot import QtBot

from app.window.main_window import MainWindow
from app.window.menus import RecentMenu
from tests.app.pages import TEXT, put_caret
from tests.app.window.conftest import Open


def test_a_file_is_opened_again_where_the_caret_was(window: MainWindow, file: Path, tmp_path: Path) -> None:
    window.files.open_path(file)
    put_caret(window.view.page, 120)
    other = tmp_path / "A & B.md"
    other.write_text("Another one.", encoding="utf-8")
    window.files.open_path(other)
    menu = window.findChild(RecentMenu)
    assert menu is not None
    menu.fill()
    names = [action.toolTip() for action in menu.actions() if action.toolTip()]
    assert names[:2] == [str(other), str(file)]
    assert menu.actions()[0].text().startswith("A && B.md")
    menu.actions()[1].trigger()
    assert window.view.page.text() == TEXT
    assert window.view.page.textCursor().position() == 120
    file.write_text("Shorter.", encoding="utf-8")
    window.files.open_path(other)
    window.files.open_path(file)
    assert window.view.page.textCursor().position() == 8
    menu.actions()[-1].trigger()
    assert window.files.recent.all() == []


def test_the_last_file_is_offered_and_not_opened(open_window: Open, file: Path, qtbot: QtBot) -> None:
    first = open_window()
    first.files.open_path(file)
    put_caret(first.view.page, 33)
    first.close()
    later = open_window()
    later.start(None)
    assert later.offer.isVisible()
    assert later.view.page.text() == ""
    later.offer.buttons[0].click()
    assert later.offer.isHidden()
    assert later.view.page.text() == TEXT
    assert later.view.page.textCursor().position() == 33
    assert later.view.page.hasFocus() or later.focusWidget() is later.view.page


def test_the_offer_of_the_last_file_goes_once_something_is_written(open_window: Open, file: Path) -> None:
    first = open_window()
    first.files.open_path(file)
    first.close()
    later = open_window()
    later.start(None)
    later.view.page.insertPlainText("T")
    assert later.offer.isHidden()
    named = open_window()
    named.start(file)
    assert named.offer.isHidden()
    named.notice.hide()  # the file is open in the other window too
