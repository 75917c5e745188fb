"""The files that were open last."""

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.window.main_window import MainWindow
from app.window.menus import RecentMenu
from app.window.recent_files import MOST, RecentFile, RecentFiles
from tests.app.pages import TEXT, put_caret
from tests.app.window.conftest import Open


def files(folder: Path, count: int) -> list[Path]:
    made = [folder / f"{number}.md" for number in range(count)]
    for path in made:
        path.write_text("x", encoding="utf-8")
    return made


def test_the_newest_come_first_and_those_that_are_gone_are_left_out(tmp_path: Path) -> None:
    recent, made = RecentFiles(), files(tmp_path, MOST + 2)
    for caret, path in enumerate(made):
        recent.put(path, caret)
    recent.put(made[5], 7)
    made[-1].unlink()
    again = RecentFiles().all()
    assert [Path(one.path) for one in again] == [made[5], made[-2], *made[9:5:-1], *made[4:1:-1]]
    assert RecentFiles().caret_in(made[5]) == 7
    recent.clear()
    assert RecentFiles().all() == []


@pytest.mark.parametrize("damage", [b"", b"[1]", b'{"path": 1}', b"\xff"])
def test_a_damaged_list_is_an_empty_one(tmp_path: Path, damage: bytes) -> None:
    kept = tmp_path / "recent.json"
    kept.write_bytes(damage)
    recent = RecentFiles(kept)
    assert recent.all() == []
    recent.put(files(tmp_path, 1)[0], 3)
    assert RecentFiles(kept).all() == [RecentFile(str(tmp_path / "0.md"), 3)]


def test_what_cannot_be_written_holds_for_this_run(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    recent = RecentFiles(blocked / "recent.json")
    recent.put(files(tmp_path, 1)[0], 3)
    recent.put(Path("/no text \udcff"), 0)
    assert [one.caret for one in recent.all()] == [3]


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
