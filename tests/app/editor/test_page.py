"""The page with a draft in it behaves, key by key and click by click, like the page without one."""

import random
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QObject, QPoint, Qt
from PySide6.QtGui import QFont, QInputMethodEvent, QPaintEvent, QTextCursor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.editor.page import Page
from app.widgets.theme import LIGHT, palette
from engine.protocol.events import Frame, Token

ROOT = Path(__file__).resolve().parents[3]
TEXT = (
    "The ferry was late again. Clara sat on her suitcase at the end of the pier and watched the lights come "
    "on along the harbour, one window after another, as if somebody were walking through the town.\n"
    "“You could take the morning boat,” said the man from the ticket office.\n"
    "\n"
    "He had come out to lock the gate 🌊 and did not look at her while he spoke."
)
DRAFT = "She thought about it. The boat would mean another night at the hotel.\nShe stood up."
Key = Qt.Key


def make_page(qtbot: QtBot, text: str = TEXT, height: int = 700) -> Page:
    font = QFont("DejaVu Serif")
    font.setPixelSize(18)
    page = Page(font)
    qtbot.addWidget(page)
    page.setPalette(palette(LIGHT))
    page.resize(900, height)
    set_document_text(page.document(), text)
    page.show()
    qtbot.waitExposed(page)
    return page


def frame(step: int = 1, words: str = "noise that sharpens", entropy: float = 3.0) -> Frame:
    tokens = tuple(Token(f" {word}", entropy, entropy < 1, False) for word in words.split())
    return Frame(request_id="a", variant=0, canvas=0, step=step, max_steps=9, elapsed_s=0.0, tokens=tokens)


def put_caret(page: Page, position: int) -> None:
    cursor = page.textCursor()
    cursor.setPosition(position)
    page.setTextCursor(cursor)


def begin(page: Page, position: int, lines: int = 5) -> None:
    put_caret(page, position)
    page.draft.begin(page.textCursor(), lines)
    page.draft.show_frame(frame())
    QApplication.processEvents()


@pytest.fixture
def page(qtbot: QtBot) -> Page:
    return make_page(qtbot)


PLACES = [0, 30, TEXT.index("\n"), TEXT.index("\n\n") + 1, TEXT.index("lock"), len(TEXT)]


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


@pytest.mark.parametrize("position", PLACES)
def test_a_click_on_the_draft_goes_into_the_document_beside_it(qtbot: QtBot, position: int) -> None:
    page = make_page(qtbot)
    begin(page, position)
    block = page.document().findBlock(position)
    for y in range(int(page.block_top(block)) + 30, int(page.draft.bar_top() or 0), 9):
        qtbot.mouseClick(page.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(60, y))
        start, end = block.position(), block.position() + block.length()
        assert start <= page.textCursor().position() <= end
    assert page.text() == TEXT


def test_a_drag_across_the_draft_selects_text_of_the_document_alone(qtbot: QtBot, page: Page) -> None:
    begin(page, TEXT.index("\n"))
    last = page.cursorRect(_at(page, len(TEXT) + 1)).center() + QPoint(1, 0)
    viewport = page.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=page.cursorRect(_at(page, 3)).center())
    qtbot.mouseMove(viewport, QPoint(80, int(page.draft.bar_top() or 0) - 30))
    qtbot.mouseMove(viewport, last)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=last)
    cursor = page.textCursor()
    assert page.text_between(cursor.selectionStart(), cursor.selectionEnd()) == TEXT[3:]


def _at(page: Page, position: int) -> QTextCursor:
    cursor = QTextCursor(page.document())
    cursor.setPosition(min(position, page.document().characterCount() - 1))
    return cursor


@pytest.mark.parametrize("position", PLACES)
def test_an_input_method_composes_at_the_anchor_and_the_draft_stays(page: Page, position: int) -> None:
    begin(page, position)
    QApplication.sendEvent(page, QInputMethodEvent("か", []))
    page.draft.show_frame(frame(2))
    page.viewport().repaint()
    commit = QInputMethodEvent()
    commit.setCommitString("漢")
    QApplication.sendEvent(page, commit)
    assert page.text() == _insert(TEXT, position, "漢")
    assert page.draft.anchor is not None
    assert page.draft.anchor.position() == position + 1


def _insert(text: str, utf16: int, piece: str) -> str:
    data = text.encode("utf-16-le")
    return (data[: 2 * utf16] + piece.encode("utf-16-le") + data[2 * utf16 :]).decode("utf-16-le")


def test_undo_and_redo_work_while_the_draft_develops(qtbot: QtBot, page: Page) -> None:
    put_caret(page, 0)
    qtbot.keyClicks(page, "Ab")
    begin(page, len(TEXT) + 1)
    page.undo()
    assert page.text() == TEXT
    page.draft.show_frame(frame(2))
    page.redo()
    assert page.text() == "Ab" + TEXT
    assert page.draft.anchor is not None


def test_a_draft_leaves_no_trace_in_the_document(page: Page) -> None:
    begin(page, len(TEXT))
    page.draft.settle(DRAFT)
    page.draft.clear()
    document = page.document()
    assert (document.isModified(), document.isUndoAvailable(), document.isRedoAvailable()) == (False,) * 3
    assert page.text() == TEXT
    assert page.page_layout.gap_height == 0


@pytest.mark.parametrize(
    ("edit_at", "typed", "moves_by"), [(3, "xyz", 3), (300, "xyz", 0), (TEXT.index("\n"), "x", 1)]
)
def test_the_draft_follows_its_place_when_text_is_typed(
    qtbot: QtBot, page: Page, edit_at: int, typed: str, moves_by: int
) -> None:
    place = TEXT.index("\n")
    begin(page, place)
    put_caret(page, edit_at)
    qtbot.keyClicks(page, typed)
    assert page.draft.anchor is not None
    assert page.draft.anchor.position() == place + moves_by
    page.draft.settle(DRAFT)
    page.keep_draft()
    edited = TEXT[:edit_at] + typed + TEXT[edit_at:]
    assert page.text() == edited[: place + moves_by] + "\n\n" + DRAFT + edited[place + moves_by :]


def test_deleting_the_anchors_paragraph_leaves_the_draft_where_it_was(page: Page) -> None:
    first, second = TEXT.index("\n"), TEXT.index("\n\n")
    begin(page, second)
    cursor = _at(page, first)
    cursor.setPosition(second, QTextCursor.MoveMode.KeepAnchor)
    cursor.removeSelectedText()
    QApplication.processEvents()
    page.draft.settle("She left.")
    page.keep_draft()
    assert page.text() == TEXT[:first] + "\n\nShe left." + TEXT[second:]


@pytest.mark.parametrize("position", PLACES)
@pytest.mark.parametrize("typed_before", ["", "x"])
def test_keep_is_one_undo_step_and_redo_brings_it_back(
    qtbot: QtBot, page: Page, position: int, typed_before: str
) -> None:
    put_caret(page, position)
    qtbot.keyClicks(page, typed_before)
    before = page.text()
    begin(page, page.textCursor().position())
    page.draft.settle(DRAFT)
    page.keep_draft()
    kept = page.text()
    assert DRAFT in kept
    page.undo()
    assert page.text() == before
    page.redo()
    assert page.text() == kept


@pytest.mark.parametrize("text", [TEXT, TEXT + " And then"])
def test_typing_behind_a_kept_draft_is_an_undo_step_of_its_own(qtbot: QtBot, text: str) -> None:
    page = make_page(qtbot, text)
    begin(page, len(text) + 1)
    page.draft.settle(" it rained.")  # one line: Qt would merge typing into a lone insert
    page.keep_draft()
    kept = page.text()
    qtbot.keyClicks(page, " more")
    page.undo()
    assert page.text() == kept
    page.undo()
    assert page.text() == text


def test_stop_takes_the_models_own_characters_and_nothing_of_a_committed_canvas_twice(page: Page) -> None:
    begin(page, len(TEXT) + 1)
    odd = Frame(
        request_id="a",
        variant=0,
        canvas=0,
        step=3,
        max_steps=9,
        elapsed_s=0.0,
        tokens=(Token("It\u00a0is ", 0.0, True, False), Token("naïve 🦊", 2.0, False, False)),
    )
    page.draft.show_frame(odd)
    assert page.draft.standing() == "It\u00a0is naïve 🦊"
    page.draft.commit("It was. ")
    page.draft._on_frame_due()
    assert page.draft.standing() == "It was."
    assert "".join(page.draft._pieces).count("It was.") == 0  # no frame of that canvas was shown behind it


def test_stop_on_noise_takes_nothing(page: Page) -> None:
    put_caret(page, len(TEXT) + 1)
    page.draft.begin(page.textCursor(), 3)
    page.draft.show_frame(frame(0))
    assert page.draft.standing() == ""


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


@pytest.mark.parametrize("text", [TEXT, TEXT + "\n", TEXT + " And then", ""])
def test_a_kept_draft_stands_where_the_settled_one_was_seen(qtbot: QtBot, text: str) -> None:
    page = make_page(qtbot, text)
    page.setCursorWidth(0)
    begin(page, len(text.encode("utf-16-le")) // 2)
    page.draft.set_reduced_motion(True)
    shown = page.draft.shown(f" {DRAFT}")
    page.draft.settle(shown)
    settled = page.viewport().grab().toImage()
    page.keep_draft()
    QApplication.processEvents()
    kept = page.viewport().grab().toImage()
    assert settled == kept


def test_a_settled_draft_that_begins_above_the_window_is_drawn_as_far_as_it_reaches_in(qtbot: QtBot) -> None:
    page = make_page(qtbot, height=420)
    begin(page, TEXT.index("\n"))
    page.draft.settle("word " * 300)
    page.verticalScrollBar().setValue(7)
    assert page.draft._origin_y() < -page.line_height
    shown = page.viewport().grab().toImage()
    page.draft._text = None
    assert shown != page.viewport().grab().toImage()


def test_resize_and_zoom_keep_the_draft_under_its_paragraph(page: Page) -> None:
    begin(page, TEXT.index("\n"))
    block = page.document().findBlock(0)
    for width, size in ((500, 18), (1200, 18), (1200, 30), (700, 12)):
        page.resize(width, 700)
        font = page.font()
        font.setPixelSize(size)
        page.set_prose_font(font)
        QApplication.processEvents()
        below = page.block_top(block.next())
        bar = page.draft.bar_top()
        assert bar is not None
        assert page.block_top(block) + page.page_layout.text_bottom(block) < bar < below - 40


@pytest.mark.parametrize("paragraphs", [1, 40])
def test_scrolling_moves_through_a_gap_that_is_higher_than_the_window(qtbot: QtBot, paragraphs: int) -> None:
    lines = [f"{number}. {'word ' * 30}" for number in range(paragraphs)]
    page = make_page(qtbot, "\n".join(lines) + "\n" + "\n".join(lines), height=300)
    begin(page, len("\n".join(lines)), lines=40)
    _lay_out_all(page)
    scroll = page.verticalScrollBar()
    tops = []
    anchor = page.document().findBlockByNumber(paragraphs - 1)
    first = anchor.firstLineNumber()
    for value in range(first, min(scroll.maximum(), first + anchor.lineCount() + 3) + 1):
        scroll.setValue(value)
        tops.append(page.draft.bar_top() or 0.0)
    steps = [before - after for before, after in pairwise(tops)]
    assert len(steps) > 30
    assert min(steps) > 0
    assert max(steps) < 2 * page.line_height


@pytest.mark.parametrize("lines", [9, 12, 40])
@pytest.mark.parametrize("paragraphs_after", [0, 2, 40])
def test_the_page_scrolls_to_its_end_and_no_further(qtbot: QtBot, lines: int, paragraphs_after: int) -> None:
    paragraph = "word " * 30
    page = make_page(qtbot, "\n".join([paragraph] * (1 + paragraphs_after)), height=300)
    begin(page, len(paragraph), lines)
    scroll = page.verticalScrollBar()
    scroll.setValue(scroll.maximum())
    last = page.document().lastBlock()
    bottom = page.block_top(last) + page.page_layout.blockBoundingRect(last).height()
    assert 0 <= page.viewport().height() - bottom < 2 * page.line_height
    assert 0 < scroll.pageStep() <= page.viewport().height() / page.line_height


def test_the_page_ends_where_its_text_does_when_a_draft_settles_shorter(qtbot: QtBot) -> None:
    text = "word " * 27 + "\n" + "x" * 198 + "\nShort one."
    page = make_page(qtbot, text, height=300)
    begin(page, 230, lines=40)
    scroll = page.verticalScrollBar()
    scroll.setValue(scroll.maximum())
    QApplication.processEvents()
    assert page.page_layout.gap_lines_above
    page.draft.settle("word " * 30)
    QApplication.processEvents()
    scroll.setValue(scroll.maximum())
    last = page.document().lastBlock()
    bottom = page.block_top(last) + page.page_layout.blockBoundingRect(last).height()
    assert 0 <= page.viewport().height() - bottom < 2 * page.line_height


def test_the_texts_end_can_be_reached_after_a_zoom(qtbot: QtBot) -> None:
    chance = random.Random(5)
    for _ in range(150):
        lengths = [chance.randint(20, 1000) for _ in range(chance.choice([5, 12, 30]))]
        page = make_page(qtbot, "\n".join(("word " * 200)[:length] for length in lengths), height=420)
        scroll = page.verticalScrollBar()
        scroll.setValue(scroll.maximum() // 2)
        QApplication.processEvents()
        font = page.font()
        font.setPixelSize(chance.choice([12, 14, 16]))
        page.set_prose_font(font)
        QApplication.processEvents()
        page.moveCursor(QTextCursor.MoveOperation.End)
        assert page.viewport().rect().contains(page.cursorRect().center())
        page.close()


def _lay_out_all(page: Page) -> None:
    block = page.document().firstBlock()
    while block.isValid():
        page.page_layout.blockBoundingRect(block)
        block = block.next()


def test_a_draft_makes_room_for_an_input_method(qtbot: QtBot) -> None:
    page = make_page(qtbot, "🦊 And so we")
    begin(page, page.document().characterCount() - 1)
    page.draft.settle("left the house.")

    def left() -> float:
        assert page.draft._text is not None
        return min(run.positions()[0].x() for line in page.draft._text._lines for _, run in line.runs())

    before = left()
    for unfinished in ("にほんご", "に" * 60):
        QApplication.sendEvent(page, QInputMethodEvent(unfinished, []))
        caret = page.cursorRect().left()
        assert abs(left() - caret) < 3
    QApplication.sendEvent(page, QInputMethodEvent("", []))
    assert left() == before


def test_the_page_stands_still_while_a_draft_develops(qtbot: QtBot) -> None:
    page = make_page(qtbot, "\n".join(f"Paragraph {number}." for number in range(80)), height=400)
    page.verticalScrollBar().setValue(20)
    position = page.cursorForPosition(QPoint(10, 200)).block().position()
    begin(page, position)
    block = page.document().findBlock(position)
    top, value = page.block_top(block), page.verticalScrollBar().value()
    for step in range(2, 9):
        page.draft._pending = frame(step, "word " * 40, entropy=0.1)
        page.draft._on_frame_due()
        QApplication.processEvents()
    assert (page.block_top(block), page.verticalScrollBar().value()) == (top, value)


def test_the_gap_grows_by_whole_lines_and_does_not_shrink_while_developing(page: Page) -> None:
    begin(page, len(TEXT) + 1, lines=2)
    heights = [page.page_layout.gap_height]
    for words in (10, 60, 90, 20):
        page.draft._pending = frame(2, "word " * words, entropy=0.1)
        page.draft._on_frame_due()
        heights.append(page.page_layout.gap_height)
    assert heights == sorted(heights)
    assert heights[-1] > heights[0]
    grown = (heights[-1] - heights[0]) / page.line_height
    assert grown == pytest.approx(round(grown), abs=0.1)


@pytest.mark.parametrize("key", [Key.Key_Return, Key.Key_Enter, Key.Key_Tab])
def test_enter_and_tab_keep_a_settled_draft(
    qtbot: QtBot, page: Page, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(page, len(TEXT) + 1)
    page.draft.settle(DRAFT)
    _later(monkeypatch)
    with qtbot.waitSignal(page.keep_asked):
        qtbot.keyClick(page, key)
    assert page.text() == TEXT


def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.editor.page.monotonic", lambda: monotonic() + 1)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda page: page.draft.show_frame(frame(2)),
        lambda page: page.draft.settle(DRAFT),
        lambda page: [page.draft.settle(DRAFT), page.setTextCursor(_at(page, 4))],
        lambda page: [page.draft.settle(DRAFT), page.insertPlainText("x")],
    ],
    ids=["developing", "just settled", "caret elsewhere", "typed since"],
)
def test_enter_is_the_writers_otherwise(
    qtbot: QtBot, page: Page, prepare: Callable[[Page], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(page, len(TEXT) + 1)
    prepare(page)
    if page.textCursor().position() != len(TEXT) + 1:
        _later(monkeypatch)
    asked = []
    page.keep_asked.connect(lambda: asked.append(1))
    before = page.blockCount()
    qtbot.keyClick(page, Key.Key_Return)
    assert not asked
    assert page.blockCount() == before + 1


def test_enter_keeps_no_draft_that_is_out_of_view(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    page = make_page(qtbot, "\n".join(f"Paragraph {number}." for number in range(80)), height=400)
    begin(page, page.document().characterCount() - 1)
    page.show_gap()
    page.draft.settle(DRAFT)
    _later(monkeypatch)
    scroll, asked = page.verticalScrollBar(), []
    page.keep_asked.connect(lambda: asked.append(scroll.value()))
    for value in (scroll.maximum() - 1, 0):
        scroll.setValue(value)
        qtbot.keyClick(page, Key.Key_Tab)
    assert asked == [scroll.maximum() - 1]
    assert "\t" in page.text()


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
    begin(page, at)
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
        assert page.draft.anchor is not None
        assert page.draft.anchor.position() == at


def test_a_draft_in_what_was_pasted_stays_there_when_more_is_undone(qtbot: QtBot) -> None:
    page = make_page(qtbot)
    put_caret(page, 0)
    qtbot.keyClicks(page, "abc")
    at = len("abc") + TEXT.index("lights")
    put_caret(page, at)
    page.textCursor().insertText("many words that were copied ")
    begin(page, at + 20)
    page.undo()
    page.undo()
    assert page.text() == TEXT
    assert page.draft.anchor is not None
    assert page.draft.anchor.position() == TEXT.index("lights")


def test_the_caret_stays_in_view_where_the_text_grows_below_it(qtbot: QtBot) -> None:
    page = make_page(qtbot, "\n".join(f"Paragraph {number}." for number in range(60)), height=400)
    page.moveCursor(QTextCursor.MoveOperation.End)
    for _ in range(20):
        qtbot.keyClicks(page, "word")
        qtbot.keyClick(page, Key.Key_Return)
        assert page.viewport().rect().contains(page.cursorRect())


@pytest.mark.parametrize("place", [60, 300, 600])
def test_the_caret_stays_in_view_where_much_is_deleted_below_a_draft(qtbot: QtBot, place: int) -> None:
    paragraph = "The ferry was late again, and Clara watched the lights. " * 14
    page = make_page(qtbot, "\n".join([paragraph] * 3), height=360)
    begin(page, len(paragraph) + place)
    page.draft.settle(DRAFT)
    cursor = page.textCursor()
    cursor.setPosition(2 * len(paragraph) + 400)
    cursor.setPosition(len(page.text()) - 10, QTextCursor.MoveMode.KeepAnchor)
    page.setTextCursor(cursor)
    QApplication.processEvents()
    qtbot.keyClick(page, Key.Key_Backspace)
    QApplication.processEvents()
    assert page.viewport().rect().contains(page.cursorRect())


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


def test_escape_discards_at_the_anchor_alone(
    qtbot: QtBot, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(page, len(TEXT) + 1)
    with qtbot.waitSignal(page.discard_asked):
        qtbot.keyClick(page, Key.Key_Escape)
    page.draft.settle(DRAFT)
    with qtbot.assertNotEmitted(page.discard_asked):
        qtbot.keyClick(page, Key.Key_Escape)  # it was meant for the noise
    _later(monkeypatch)
    with qtbot.waitSignal(page.discard_asked):
        qtbot.keyClick(page, Key.Key_Escape)
    put_caret(page, 3)
    with qtbot.assertNotEmitted(page.discard_asked):
        qtbot.keyClick(page, Key.Key_Escape)


@pytest.mark.parametrize(("y", "scrolled", "moves"), [(640, 0, True), (60, 0, False), (60, 9, False)])
def test_what_takes_room_below_the_page_hides_no_line_in_hand(
    y: int, scrolled: int, moves: bool, qtbot: QtBot
) -> None:
    page = make_page(qtbot, "A line.\n" * 60)
    page.setTextCursor(page.cursorForPosition(QPoint(0, y)))
    page.verticalScrollBar().setValue(scrolled)
    in_view = page.viewport().rect().contains(page.cursorRect())
    page.resize(page.width(), page.height() - 100)
    assert page.viewport().rect().contains(page.cursorRect()) == in_view
    assert (page.verticalScrollBar().value() != scrolled) == moves


def test_what_takes_room_below_the_page_moves_no_draft_that_is_read(qtbot: QtBot) -> None:
    page = make_page(qtbot, "A line.\n" * 60)
    page.verticalScrollBar().setValue(9)
    caret = page.cursorForPosition(QPoint(0, 510)).position()
    begin(page, caret)
    top, height = page.draft._origin_y(), page.viewport().height()
    assert height - 100 < page.draft._rect().bottom() < height
    page.resize(page.width(), page.height() - 100)
    assert page.draft._origin_y() == top
    page.resize(page.width(), page.height() + 100)
    assert page.draft._origin_y() == top


def test_the_margin_beside_the_column_scrolls_and_selects(qtbot: QtBot) -> None:
    page = make_page(qtbot, TEXT, height=500)
    left = page.viewport().geometry().left()
    assert left > 20
    put_caret(page, 40)
    first_line = page.viewport().geometry().top() + page.cursorRect(_at(page, 0)).center().y()
    qtbot.mouseClick(page, Qt.MouseButton.LeftButton, pos=QPoint(left // 2, first_line))
    assert page.textCursor().position() == 0
