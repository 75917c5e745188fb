"""The page with a draft in it behaves, key by key and click by click, like the page without one."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QObject, QPoint, Qt
from PySide6.QtGui import QInputMethodEvent, QPaintEvent, QTextCursor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.documents.text import text_between
from app.editor.page import Page
from tests.app.editor.conftest import DRAFT, PLACES
from tests.app.pages import TEXT, begin, cursor_at, make_page, put_caret

ROOT = Path(__file__).resolve().parents[3]
Key = Qt.Key


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("position", PLACES)
def test_the_caret_moves_as_if_the_draft_were_not_there(qtbot: QtBot, position: int) -> None:
    plain, drafting = make_page(qtbot), make_page(qtbot)
    begin(drafting, position)
    put_caret(plain, position)
    keys = random.Random(position).choices(
        [Key.Key_Up, Key.Key_Down, Key.Key_Left, Key.Key_Right, Key.Key_Home, Key.Key_End], k=60
    )
    for key in keys:
        for page in (plain, drafting):
            qtbot.keyClick(page, key)
        assert drafting.textCursor().position() == plain.textCursor().position()


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("position", PLACES)
def test_a_click_on_the_draft_goes_into_the_document_beside_it(qtbot: QtBot, position: int) -> None:
    page = make_page(qtbot)
    draft = begin(page, position)
    block = page.document().findBlock(position)
    for y in range(int(page.block_top(block)) + 30, int(draft.overlay.geometry.bar_top), 9):
        qtbot.mouseClick(page.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(60, y))
        start, end = block.position(), block.position() + block.length()
        assert start <= page.textCursor().position() <= end
    assert page.text() == TEXT


@pytest.mark.usefixtures("company")
def test_a_drag_across_the_draft_selects_text_of_the_document_alone(qtbot: QtBot, page: Page) -> None:
    draft = begin(page, TEXT.index("\n"))
    last = page.cursorRect(cursor_at(page, len(TEXT) + 1)).center() + QPoint(1, 0)
    viewport = page.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=page.cursorRect(cursor_at(page, 3)).center())
    qtbot.mouseMove(viewport, QPoint(80, int(draft.overlay.geometry.bar_top) - 30))
    qtbot.mouseMove(viewport, last)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=last)
    cursor = page.textCursor()
    assert text_between(page.document(), cursor.selectionStart(), cursor.selectionEnd()) == TEXT[3:]


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("position", PLACES)
def test_an_input_method_composes_at_the_anchor_and_the_draft_stays(page: Page, position: int) -> None:
    draft = begin(page, position)
    QApplication.sendEvent(page, QInputMethodEvent("か", []))
    draft.show()
    page.viewport().repaint()
    commit = QInputMethodEvent()
    commit.setCommitString("漢")
    QApplication.sendEvent(page, commit)
    assert page.text() == _insert(TEXT, position, "漢")
    assert draft.position == position + 1


def _insert(text: str, utf16: int, piece: str) -> str:
    data = text.encode("utf-16-le")
    return (data[: 2 * utf16] + piece.encode("utf-16-le") + data[2 * utf16 :]).decode("utf-16-le")


@pytest.mark.usefixtures("company")
def test_undo_and_redo_work_while_the_draft_develops(qtbot: QtBot, page: Page) -> None:
    put_caret(page, 0)
    qtbot.keyClicks(page, "Ab")
    draft = begin(page, len(TEXT) + 1)
    page.undo()
    assert page.text() == TEXT
    draft.show()
    page.redo()
    assert page.text() == "Ab" + TEXT


def test_a_draft_leaves_no_trace_in_the_document(page: Page) -> None:
    draft = begin(page, len(TEXT))
    draft.settle(DRAFT)
    draft.overlay.close()
    document = page.document()
    assert (document.isModified(), document.isUndoAvailable(), document.isRedoAvailable()) == (False,) * 3
    assert page.text() == TEXT
    assert page.gaps.blockBoundingRect(document.lastBlock()).height() < 3 * page.line_height


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("edit_at", "typed", "moves_by"), [(3, "xyz", 3), (300, "xyz", 0), (TEXT.index("\n"), "x", 1)]
)
def test_the_draft_follows_its_place_when_text_is_typed(
    qtbot: QtBot, page: Page, edit_at: int, typed: str, moves_by: int
) -> None:
    place = TEXT.index("\n")
    draft = begin(page, place)
    put_caret(page, edit_at)
    qtbot.keyClicks(page, typed)
    assert draft.position == place + moves_by
    draft.settle(DRAFT)
    draft.keep()
    edited = TEXT[:edit_at] + typed + TEXT[edit_at:]
    assert page.text() == edited[: place + moves_by] + "\n\n" + DRAFT + "\n" + edited[place + moves_by :]


@pytest.mark.usefixtures("company")
def test_deleting_the_anchors_paragraph_leaves_the_draft_where_it_was(page: Page) -> None:
    first, second = TEXT.index("\n"), TEXT.index("\n\n")
    draft = begin(page, second)
    cursor = cursor_at(page, first)
    cursor.setPosition(second, QTextCursor.MoveMode.KeepAnchor)
    cursor.removeSelectedText()
    QApplication.processEvents()
    draft.settle("She left.")
    draft.keep()
    assert page.text() == TEXT[:first] + "\n\nShe left." + TEXT[second:]


def test_shift_enter_makes_a_plain_line_break(qtbot: QtBot, page: Page) -> None:
    put_caret(page, 0)
    qtbot.keyClick(page, Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert page.text() == "\n" + TEXT


def test_what_no_text_holds_is_left_out_of_what_is_pasted(page: Page) -> None:
    data = QMimeData()
    data.setText("a\0\ufffeb")
    put_caret(page, 0)
    page.insertFromMimeData(data)
    assert page.text() == "ab" + TEXT


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("first", "last", "keys"),
    [
        ("Clara", "walking", [Key.Key_Delete]),
        ("Clara", "walking", [Key.Key_X, Key.Key_Y]),
        ("lights", "walking", [Key.Key_Delete, Key.Key_Delete, Key.Key_Delete]),
        ("Clara", "lights", [Key.Key_Backspace, Key.Key_Backspace]),
    ],
)
def test_a_deletion_that_takes_the_draft_along_brings_it_back_when_undone(
    qtbot: QtBot, first: str, last: str, keys: list[Key]
) -> None:
    page = make_page(qtbot)
    page.moveCursor(QTextCursor.MoveOperation.End)
    qtbot.keyClicks(page, "end")
    at = TEXT.index("lights")
    draft = begin(page, at)
    for again in (1, 2):
        cursor = page.textCursor()
        cursor.setPosition(TEXT.index(first))
        cursor.setPosition(TEXT.index(last), QTextCursor.MoveMode.KeepAnchor)
        page.setTextCursor(cursor)
        for key in keys:
            qtbot.keyClick(page, key)
        if again == 2:
            page.moveCursor(QTextCursor.MoveOperation.End)
            qtbot.keyClicks(page, " more")
        for _ in range(9):
            if page.text() != f"{TEXT}end":
                page.undo()
        assert page.text() == f"{TEXT}end"
        assert draft.position == at


def test_a_draft_in_what_was_pasted_stays_there_when_more_is_undone(qtbot: QtBot) -> None:
    page = make_page(qtbot)
    put_caret(page, 0)
    qtbot.keyClicks(page, "abc")
    at = len("abc") + TEXT.index("lights")
    put_caret(page, at)
    page.textCursor().insertText("many words that were copied ")
    draft = begin(page, at + 20)
    page.undo()
    page.undo()
    assert page.text() == TEXT
    assert draft.position == TEXT.index("lights")


@pytest.mark.parametrize("key", [Key.Key_Space, Key.Key_Return, Key.Key_Tab])
def test_a_word_is_ended_in_a_paragraph_that_begins_above_the_window(key: Key, qtbot: QtBot) -> None:
    paragraph = (
        "A paragraph that has a few words and then some more, to wrap on the lines of the page, twice." * 2
    )
    page = make_page(qtbot, "\n".join([paragraph] * 60), height=500)
    block = page.document().findBlockByNumber(20)
    put_caret(page, block.position() + len(paragraph) - 1)
    page.verticalScrollBar().setValue(block.firstLineNumber() + 1)
    qtbot.keyClick(page, key)
    typed = {Key.Key_Space: " ", Key.Key_Return: "\n", Key.Key_Tab: "\t"}[key]
    assert page.text().split("\n", 20)[20].startswith(f"{paragraph[:-1]}{typed}.")
    assert page.viewport().rect().contains(page.cursorRect())


class Painted(QObject):
    """How far down the watched widget was painted."""

    bottom = 0

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QPaintEvent):
            self.bottom = max(self.bottom, event.rect().bottom())
        return False


def test_what_stands_below_a_blank_line_is_painted_where_it_moves(qtbot: QtBot) -> None:
    page = make_page(qtbot, "One.\n\nThree.\nFour.\nFive.")
    put_caret(page, 5)
    for key in (Key.Key_X, Key.Key_Backspace):
        painted = Painted(page)
        page.viewport().installEventFilter(painted)
        qtbot.keyClick(page, key)
        QCoreApplication.processEvents()
        assert painted.bottom >= page.block_top(page.document().lastBlock())
        page.viewport().removeEventFilter(painted)


def test_what_is_typed_is_undone_word_by_word(qtbot: QtBot) -> None:
    page = make_page(qtbot, "It was")
    put_caret(page, 6)
    qtbot.keyClicks(page, " late  when")
    qtbot.keyClick(page, Key.Key_Return)
    qtbot.keyClicks(page, "we")
    typed, undone = page.text(), []
    while page.document().isUndoAvailable():
        page.undo()
        undone.append(page.text())
    assert undone == ["It was late  when\n", "It was late  when", "It was late", "It was"]
    while page.document().isRedoAvailable():
        page.redo()
    assert page.text() == typed


def test_what_is_copied_is_what_stands(qtbot: QtBot) -> None:
    page = make_page(qtbot, "10\u00a0km\nfar")
    page.selectAll()
    data = page.createMimeDataFromSelection()
    assert data.text() == "10\u00a0km\nfar"
    assert not data.hasHtml()


def test_what_was_copied_ends_with_the_app() -> None:
    """The clipboard goes after Python."""
    code = (
        "from PySide6.QtGui import QFont; from PySide6.QtWidgets import QApplication;"
        "app = QApplication([]); from app.editor.page import Page;"
        "page = Page(QFont()); page.setPlainText('far'); page.selectAll();"
        "[page.copy() for _ in range(50)]; page.cut(); page.paste(); assert page.toPlainText() == 'far'"
    )
    subprocess.run((sys.executable, "-c", code), cwd=ROOT, check=True)
