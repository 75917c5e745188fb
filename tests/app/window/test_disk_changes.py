"""A file that another program changes while it is open."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from pytestqt.qtbot import QtBot

from app.documents.disk_watch import DiskWatch
from app.documents.recovery import RecoveryCopy
from app.drafting.draft_session import DraftState
from app.widgets.text_dialog import TextDialog
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import TEXT
from tests.app.window.conftest import settle

THEIRS = "Theirs.\n" + TEXT.replace("late again", "early")


@pytest.fixture
def watch(window: MainWindow, file: Path) -> DiskWatch:
    """Of the window with the file."""
    window.files.open_path(file)
    return window.files.changes.watch


def press(window: MainWindow, label: str) -> None:
    (button,) = [b for b in window.notice.buttons if b.text() == label and not window.notice.isHidden()]
    button.click()


def unsaved(window: MainWindow) -> bool:
    return window.view.page.document().isModified()


def test_reload_is_one_undo_step_and_keeps_the_caret(
    window: MainWindow, watch: DiskWatch, file: Path
) -> None:
    page = window.view.page
    caret = QTextCursor(page.document().find("ticket office"))
    page.setTextCursor(caret)
    file.write_text(THEIRS, encoding="utf-8")
    assert watch.check()
    assert page.text() == TEXT  # nothing happens unasked
    press(window, "Reload")
    assert page.text() == THEIRS
    assert page.textCursor().selectedText() == "ticket office"
    assert not unsaved(window)
    assert window.notice.isHidden()
    page.undo()
    assert page.text() == TEXT
    assert unsaved(window)
    window.files.save()
    assert file.read_text("utf-8") == TEXT


def test_what_was_not_saved_comes_back_after_a_reload(
    window: MainWindow, watch: DiskWatch, file: Path
) -> None:
    window.view.page.insertPlainText("mine, ")
    file.write_text(THEIRS, encoding="utf-8")
    watch.check()
    press(window, "Reload")
    window.view.page.undo()
    assert window.view.page.text() == "mine, " + TEXT


def test_the_page_stays_where_it_is(window: MainWindow, watch: DiskWatch, file: Path) -> None:
    file.write_text("".join(f"Line {n}.\n" for n in range(500)))
    watch.check()
    press(window, "Reload")
    page = window.view.page
    page.verticalScrollBar().setValue(300)
    top = page.firstVisibleBlock().text()
    file.write_text("More.\n" * 40 + file.read_text() + "End.")
    watch.check()
    press(window, "Reload")
    assert page.firstVisibleBlock().text() == top


def test_mine_is_kept_and_written_over_theirs_without_another_question(
    window: MainWindow, watch: DiskWatch, file: Path
) -> None:
    file.write_text(THEIRS, encoding="utf-8")
    watch.check()
    press(window, "Keep mine")
    assert unsaved(window)
    assert window.notice.isHidden()
    assert not watch.check()
    window.files.save()
    assert window.notice.isHidden()
    assert file.read_text("utf-8") == TEXT


def test_a_file_that_changes_twice_is_told_twice(window: MainWindow, watch: DiskWatch, file: Path) -> None:
    file.write_text("first")
    watch.check()
    press(window, "Keep mine")
    file.write_text("second")
    window.files.save()
    assert file.read_text() == "second"
    press(window, "Reload")
    assert window.view.page.text() == "second"


def test_a_save_over_a_change_offers_the_same(window: MainWindow, watch: DiskWatch, file: Path) -> None:
    window.view.page.insertPlainText("mine, ")
    file.write_text(THEIRS, encoding="utf-8")
    window.files.save()
    assert file.read_text("utf-8") == THEIRS
    press(window, "Keep mine")
    window.files.save()
    assert file.read_text("utf-8") == "mine, " + TEXT


def touch(file: Path) -> None:
    os.utime(file, (1, 1))


def write_the_same(file: Path) -> None:
    file.write_bytes(file.read_bytes())


def replace_by_the_same(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)


@pytest.mark.parametrize("act", [touch, write_the_same, replace_by_the_same])
def test_what_changes_nothing_is_not_told(
    window: MainWindow, watch: DiskWatch, file: Path, act: Callable[[Path], None]
) -> None:
    act(file)
    assert not watch.check()
    assert window.notice.isHidden()
    assert not unsaved(window)


def test_the_app_s_own_save_is_not_told(window: MainWindow, watch: DiskWatch, file: Path) -> None:
    for name in ("ferry.md", "other.md"):
        window.view.page.insertPlainText("mine, ")
        window.files.save_to(file.with_name(name), anew=True)
        assert not watch.check()
        assert window.notice.isHidden()


def test_a_file_that_comes_to_hold_the_page_s_text_is_saved(
    window: MainWindow, watch: DiskWatch, file: Path
) -> None:
    window.view.page.insertPlainText("mine, ")
    file.write_text("mine, " + TEXT, encoding="utf-8")
    assert not watch.check()
    assert not unsaved(window)


def delete(file: Path) -> None:
    file.unlink()


def rename(file: Path) -> None:
    file.rename(file.with_name("elsewhere.md"))


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def make_binary(file: Path) -> None:
    file.write_bytes(b"\0\xff")


def replace_by_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("act", [delete, rename, replace_by_a_folder, make_binary, replace_by_a_pipe])
def test_a_file_that_is_lost_leaves_a_text_that_is_not_saved(
    window: MainWindow, watch: DiskWatch, file: Path, act: Callable[[Path], None]
) -> None:
    act(file)
    watch.check()
    assert not window.notice.isHidden()
    assert unsaved(window)
    assert window.view.page.text() == TEXT
    if act in (delete, rename):
        press(window, "Save it again")
        assert file.read_text("utf-8") == TEXT
        assert not unsaved(window)
        assert not watch.check()
    else:
        assert [b.text() for b in window.notice.buttons if not b.isHidden()] == ["Save as…"]


@pytest.mark.parametrize("act", [delete, replace_by_a_folder])
def test_a_file_that_comes_back_is_no_news(
    window: MainWindow, watch: DiskWatch, file: Path, act: Callable[[Path], None]
) -> None:
    data = file.read_bytes()
    act(file)
    watch.check()
    if file.is_dir():
        file.rmdir()
    file.write_bytes(data)
    watch.check()
    assert window.notice.isHidden()
    assert not unsaved(window)


def test_a_file_that_is_new_is_not_missed_but_may_be_another_s(window: MainWindow, tmp_path: Path) -> None:
    window.files.open_path(tmp_path / "new.md", or_new=True)
    watch = window.files.changes.watch
    assert not watch.check()
    assert window.notice.isHidden()
    (tmp_path / "new.md").write_text("theirs")
    assert watch.check()


def test_a_draft_goes_on(window: MainWindow, watch: DiskWatch, file: Path, run: Run) -> None:
    async def scenario() -> None:
        window.view.page.moveCursor(QTextCursor.MoveOperation.End)
        await settle(window)

    run(scenario())
    file.write_text(THEIRS, encoding="utf-8")
    watch.check()
    press(window, "Reload")
    assert window.view.drafts.state is DraftState.SETTLED
    window.view.commands.keep()
    assert window.view.page.text().startswith(THEIRS)
    assert len(window.view.page.text()) > len(THEIRS)


def test_compare_shows_both_and_changes_neither(window: MainWindow, watch: DiskWatch, file: Path) -> None:
    window.view.page.appendPlainText("A long end. " * 200)
    theirs = THEIRS.replace("Clara", "<b>Clara & I</b>") + "\n" + "A long end. " * 200
    file.write_text(theirs.replace("\n", "\r\n"), encoding="utf-8", newline="")
    watch.check()
    press(window, "Compare…")
    dialog = window.findChild(TextDialog)
    assert dialog is not None
    shown = dialog.text.toPlainText()
    assert "late againearly" in shown
    assert "<b>Clara & I</b>" in shown
    assert "[…]" in shown
    assert dialog.text.isReadOnly()
    assert window.view.page.text().startswith(TEXT)
    dialog.close()
    press(window, "Keep mine")


def test_it_is_noticed_at_once_and_when_the_app_comes_to_the_front(
    window: MainWindow, watch: DiskWatch, file: Path, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(watch.changed):  # the system tells
        file.write_text("one")
    replace_by_the_same(file)
    window.notice.hide()
    with qtbot.waitSignal(watch.changed):  # of the file that replaced it, too
        file.write_text("two")
    app = QGuiApplication.instance()
    assert isinstance(app, QGuiApplication)
    file.write_text("three")
    with qtbot.waitSignal(watch.changed, timeout=0):
        app.applicationStateChanged.emit(Qt.ApplicationState.ApplicationActive)


def test_a_restored_text_is_compared_with_its_file(window: MainWindow, file: Path, own_folders: Path) -> None:
    copy = RecoveryCopy(path=str(file), bom=False, digest="of another text", text="mine, " + TEXT)
    left = own_folders / "state" / "mezzotint" / "recovery" / "a" / "a.recovery"
    left.parent.mkdir(parents=True)
    left.write_bytes(msgspec.json.encode(copy))
    window.start(None)
    window.offer.buttons[0].click()
    assert window.view.page.text() == "mine, " + TEXT
    press(window, "Reload")
    assert window.view.page.text() == TEXT


def test_a_restored_text_whose_file_never_was_is_not_missed(
    window: MainWindow, tmp_path: Path, own_folders: Path
) -> None:
    digest = window.view.document.read(tmp_path / "new.md", or_new=True).digest
    copy = RecoveryCopy(path=str(tmp_path / "new.md"), bom=False, digest=digest, text=TEXT)
    left = own_folders / "state" / "mezzotint" / "recovery" / "a" / "a.recovery"
    left.parent.mkdir(parents=True)
    left.write_bytes(msgspec.json.encode(copy))
    window.start(None)
    window.offer.buttons[0].click()
    assert window.view.page.text() == TEXT
    assert unsaved(window)
    assert window.notice.isHidden()


def test_nothing_comes_after_the_end(
    window: MainWindow, watch: DiskWatch, file: Path, own_folders: Path
) -> None:
    window.close()
    file.unlink()
    watch.check()
    window.view.document.keep()
    assert list(own_folders.glob("state/mezzotint/recovery/*/*")) == []
