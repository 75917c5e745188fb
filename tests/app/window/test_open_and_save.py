"""Files as a writer uses them: open, save, close, and what an earlier run left."""

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftState
from app.editor.placement import text_context
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import TEXT, put_caret
from tests.app.window.conftest import Lose, Open, settle
from tests.fakes import TEXT as DRAFT


def test_open_draft_keep_save_and_reopen(window: MainWindow, run: Run, file: Path) -> None:
    window.files.open_path(file)
    assert window.view.page.text() == TEXT
    put_caret(window.view.page, len(TEXT) + 1)
    run(settle(window))
    window.view.commands.keep()
    window.files.save()
    assert file.read_text(encoding="utf-8") == f"{TEXT}\n\n{DRAFT}"
    assert not window.view.page.document().isModified()
    window.files.open_path(file)
    assert window.view.page.text() == f"{TEXT}\n\n{DRAFT}"


@pytest.mark.parametrize(
    ("content", "word"), [(b"\xff\xfe latin", "UTF-8"), (b"a\0b", "zero byte"), (None, "ferry.md")]
)
def test_a_file_that_cannot_be_opened_is_told_and_the_open_text_stays(
    window: MainWindow, run: Run, file: Path, content: bytes | None, word: str
) -> None:
    set_document_text(window.view.page.document(), TEXT)
    run(settle(window))
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    window.files.open_path(file)
    assert word in window.notice.text
    assert window.view.page.text() == TEXT
    assert window.view.drafts.state is DraftState.SETTLED


@pytest.mark.parametrize("name", ["new.md", "brüder 🌊.txt", "no suffix"])
def test_a_named_file_that_is_not_there_is_begun(window: MainWindow, tmp_path: Path, name: str) -> None:
    window.start(tmp_path / name)
    assert window.notice.isHidden()
    assert window.view.document.path == tmp_path / name
    assert (window.view.page.text(), window.view.page.document().isModified()) == ("", False)
    assert not (tmp_path / name).exists()
    window.view.page.insertPlainText("Dear text.")
    window.files.save()
    assert (tmp_path / name).read_text(encoding="utf-8") == "Dear text."


def test_a_file_that_somebody_else_began_meanwhile_is_not_replaced(
    window: MainWindow, tmp_path: Path
) -> None:
    window.start(tmp_path / "new.md")
    (tmp_path / "new.md").write_text("theirs")
    window.view.page.insertPlainText("mine")
    window.files.save()
    assert (tmp_path / "new.md").read_text() == "theirs"
    assert window.notice.isVisible()


@pytest.mark.parametrize("name", ["gone/new.md", "new.docx", "n" * 300 + ".md"])
def test_a_named_file_that_could_not_be_saved_is_not_begun(
    window: MainWindow, tmp_path: Path, name: str
) -> None:
    window.start(tmp_path / name)
    assert window.notice.isVisible()
    assert window.view.document.path is None


@pytest.mark.qt_log_ignore("This plugin does not support raise")
def test_a_second_start_begins_a_file_too(window: MainWindow, tmp_path: Path) -> None:
    window.take(tmp_path / "new.md")
    assert window.notice.isHidden()
    assert window.view.document.path == tmp_path / "new.md"


def test_a_recent_file_that_has_gone_meanwhile_is_told(window: MainWindow, tmp_path: Path) -> None:
    window.files.take(tmp_path / "gone.md")
    assert window.notice.isVisible()
    assert window.view.document.path is None


def test_saving_over_a_file_that_another_program_changed_is_refused(window: MainWindow, file: Path) -> None:
    window.files.open_path(file)
    window.view.page.insertPlainText("Mine. ")
    file.write_text("Theirs.", encoding="utf-8")
    window.files.save()
    assert "ferry.md" in window.notice.text
    assert file.read_text(encoding="utf-8") == "Theirs."
    assert window.view.page.document().isModified()


def test_opening_another_document_gives_the_draft_up(window: MainWindow, run: Run, file: Path) -> None:
    run(settle(window))
    window.files.open_path(file)
    assert window.view.drafts.current is None
    assert window.view.bar.isHidden()


def test_unsaved_text_is_asked_for_and_cancel_keeps_the_window(window: MainWindow, qtbot: QtBot) -> None:
    window.view.page.insertPlainText("x")
    event = QCloseEvent()
    window.closeEvent(event)
    assert not event.isAccepted()
    box = window.findChild(QMessageBox)
    assert box is not None
    qtbot.mouseClick(box.button(QMessageBox.StandardButton.Cancel), Qt.MouseButton.LeftButton)
    assert window.isVisible()
    assert window.view.page.text() == "x"


def test_discarding_unsaved_text_closes(window: MainWindow, qtbot: QtBot) -> None:
    window.view.page.insertPlainText("x")
    window.close()
    box = window.findChild(QMessageBox)
    assert box is not None
    with qtbot.waitSignal(window.closed):
        qtbot.mouseClick(box.button(QMessageBox.StandardButton.Discard), Qt.MouseButton.LeftButton)


def test_closing_while_a_draft_develops_ends_it(window: MainWindow, run: Run, qtbot: QtBot) -> None:
    async def scenario() -> None:
        window.view.commands.draft()
        with qtbot.waitSignal(window.closed):
            window.close()

    run(scenario())
    assert window.view.drafts.current is None


@pytest.fixture
def left(open_window: Open, lose: Lose) -> str:
    """What a run that was killed has left."""
    window = open_window()
    window.view.page.insertPlainText("Not saved.")
    lose(window)
    return "Not saved."


def test_what_was_not_saved_is_offered_at_the_next_start(open_window: Open, left: str) -> None:
    later = open_window()
    later.start(None)
    assert "not saved" in later.offer.text
    later.offer.buttons[0].click()
    assert later.view.page.text() == left
    assert later.view.page.document().isModified()


@pytest.mark.parametrize("thrown", [True, False])
def test_what_was_not_saved_is_thrown_away_for_who_says_it_twice(
    open_window: Open, left: str, qtbot: QtBot, thrown: bool
) -> None:
    later = open_window()
    later.start(None)
    later.offer.buttons[1].click()
    box = later.findChild(QMessageBox)
    assert box is not None
    answer = next(button for button in box.buttons() if button.text().startswith("Throw") is thrown)
    qtbot.mouseClick(answer, Qt.MouseButton.LeftButton)
    assert later.offer.isHidden() is thrown
    assert (later.view.document.left_behind() is None) is thrown
    assert later.view.page.text() == ""


def test_the_offer_outlives_other_messages_and_a_file_that_was_named(
    open_window: Open, left: str, file: Path
) -> None:
    later = open_window()
    later.start(file)
    later.notice.show_message("A failure.")
    assert not later.offer.isVisible()  # one thing at a time
    later.notice.hide()
    assert later.offer.isVisible()
    later.offer.buttons[0].click()
    assert later.view.page.text() == "Not saved."
    assert later.offer.isHidden()


def test_saving_an_untitled_text_on_closing_closes(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.view.page.insertPlainText("x")
    window.close()
    box = window.findChild(QMessageBox)
    assert box is not None
    qtbot.mouseClick(box.button(QMessageBox.StandardButton.Save), Qt.MouseButton.LeftButton)
    dialog = window.findChild(QFileDialog)
    assert dialog is not None
    with qtbot.waitSignal(window.closed):
        dialog.fileSelected.emit(str(tmp_path / "saved.md"))
    assert (tmp_path / "saved.md").read_text(encoding="utf-8") == "x"


def test_a_file_held_by_another_window_is_told(open_window: Open, file: Path) -> None:
    first, second = open_window(), open_window()
    first.files.open_path(file)
    second.files.open_path(file)
    assert "another window" in second.notice.text
    assert second.notice.isVisible()


@pytest.mark.parametrize("name", ["no/such/folder.md", "n" * 300 + ".md"])
def test_a_place_that_cannot_be_saved_to_is_told_and_the_text_stays(
    window: MainWindow, tmp_path: Path, name: str
) -> None:
    window.view.page.insertPlainText("Dear text.")
    assert not window.files.save_to(tmp_path / name, anew=True)
    assert "could not be saved" in window.notice.text or "not there" in window.notice.text
    assert window.view.page.document().isModified()


def test_a_draft_in_a_markdown_file_is_set_off_by_a_blank_line(
    window: MainWindow, file: Path, tmp_path: Path
) -> None:
    document = window.view.page.document()
    window.files.open_path(file)
    set_document_text(document, "He left.")
    assert text_context(document, 8).join.separator == "\n\n"
    window.view.document.save(tmp_path / "ferry.txt")
    assert text_context(document, 8).join.separator is None


def test_the_words_of_an_opened_text_are_counted_at_once(window: MainWindow, file: Path) -> None:
    window.files.open_path(file)
    assert window.status.words.text() == f"{len(TEXT.split()) - 1} words"  # 🌊 is none
    window.files.new()
    assert window.status.words.text() == "0 words"


def test_a_file_that_is_dropped_is_opened(window: MainWindow, file: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    data.setText(file.as_uri())
    window.view.page.insertFromMimeData(data)
    assert window.view.document.path == file
    assert file.as_uri() not in window.view.page.text()


def test_a_file_whose_lines_end_within_words_says_so(window: MainWindow, file: Path) -> None:
    file.write_text("x" * 12_345, encoding="utf-8")
    window.files.open_path(file)
    assert not window.notice.isHidden()
    assert "12,345" in window.notice.text
