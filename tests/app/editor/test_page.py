"""The page with a draft in it behaves, key by key and click by click, like the page without one."""

import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QObject, QPoint, Qt
from PySide6.QtGui import QInputMethodEvent, QPaintEvent, QTextCursor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text, text_between, utf16_length
from app.editor.gap_layout import space_after
from app.editor.page import Page
from engine.protocol.events import Token
from tests.app import pages
from tests.app.pages import TEXT, Draft, begin, cursor_at, make_page, put_caret

ROOT = Path(__file__).resolve().parents[3]
DRAFT = "She thought about it. The boat would mean another night at the hotel.\nShe stood up."
Key = Qt.Key


@pytest.fixture(params=[False, True], ids=["one gap", "three gaps"])
def company(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draft is alone, or there is one under the next paragraph and one under the first, too."""
    monkeypatch.setattr(pages, "with_company", request.param)


@pytest.fixture
def page(qtbot: QtBot) -> Page:
    return make_page(qtbot)


PLACES = [0, 30, TEXT.index("\n"), TEXT.index("\n\n") + 1, TEXT.index("lock"), len(TEXT)]


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


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("position", PLACES)
@pytest.mark.parametrize("typed_before", ["", "x"])
def test_keep_is_one_undo_step_and_redo_brings_it_back(
    qtbot: QtBot, page: Page, position: int, typed_before: str
) -> None:
    put_caret(page, position)
    qtbot.keyClicks(page, typed_before)
    before = page.text()
    draft = begin(page, page.textCursor().position())
    draft.settle(DRAFT)
    draft.keep()
    kept = page.text()
    assert DRAFT in kept
    page.undo()
    assert page.text() == before
    page.redo()
    assert page.text() == kept


@pytest.mark.parametrize("text", [TEXT, TEXT + " And then"])
def test_typing_behind_a_kept_draft_is_an_undo_step_of_its_own(qtbot: QtBot, text: str) -> None:
    page = make_page(qtbot, text)
    draft = begin(page, len(text) + 1)
    draft.settle(" it rained.")  # one line: Qt would merge typing into a lone insert
    draft.keep()
    kept = page.text()
    qtbot.keyClicks(page, " more")
    page.undo()
    assert page.text() == kept
    page.undo()
    assert page.text() == text


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


HEBREW = "הוא הלך אל הים והסתכל על הגלים"


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (TEXT, "", DRAFT),
        (TEXT + "\n", "", DRAFT),
        (TEXT + " And then", "", f" {DRAFT}"),
        ("", "", DRAFT),
        ("", TEXT, DRAFT),
        ("", f"\n{TEXT}", DRAFT),
        ("    ", TEXT, DRAFT),
        ("One is here.\n", "Two is here.\nThree is here.", DRAFT),
        ("One is here.\n\n", "Two is here.\n\nThree is here.", DRAFT),
        ("One is here.\n\nTwo is here.\n", "\nThree is here.", DRAFT),
        ("One is here.\n\nTwo is here.\n\n", "\nThree is here.", DRAFT),
        ("One is here.\n\nTwo is here.", "\nThree is here.", DRAFT),
        (HEBREW, "", f" {HEBREW} {HEBREW} {HEBREW}.\n{HEBREW}."),
        (f"{HEBREW}.", "", f"{HEBREW}.\n{DRAFT}\n{HEBREW}."),
        ("He said", "", f" {HEBREW}."),
        ("", f"{HEBREW}.", f"{HEBREW} {HEBREW} {HEBREW}."),
    ],
)
def test_a_kept_draft_stands_where_the_settled_one_was_seen(
    qtbot: QtBot, before: str, after: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.editor.draft_overlay.paint_unkept", lambda *_: None)  # a kept one has no mark
    page = make_page(qtbot, before + after)
    page.setReadOnly(True)  # without a caret
    draft = begin(page, utf16_length(before), reduced_motion=True)
    draft.settle(draft.placement.shown(text))
    QApplication.processEvents()
    shown = draft.overlay.geometry.rect().toAlignedRect()
    shown.setTop(0)
    assert page.viewport().rect().contains(shown)
    settled = page.viewport().grab(shown).toImage()
    draft.keep()
    QApplication.processEvents()
    kept = page.viewport().grab(shown).toImage()
    assert settled == kept


PARAGRAPHS = [
    "",
    "",
    "  ",
    "One is here.",
    "Two, and then",
    "- Milk.",
    "# Title",
    "```",
    "Er sagte „ja“",
    HEBREW,
]


def test_keep_puts_in_what_was_shown_and_changes_nothing_else(qtbot: QtBot) -> None:
    page = make_page(qtbot)
    lines = st.lists(st.sampled_from(PARAGRAPHS), min_size=1, max_size=6)

    @settings(max_examples=60, deadline=None)
    @given(lines, st.integers(0, 90), st.lists(st.sampled_from([" then", "He", ".", "\n", "\n\n", " "])))
    def check(paragraphs: list[str], place: int, words: list[str]) -> None:
        text = "\n".join(paragraphs)
        place = min(place, len(text))
        set_document_text(page.document(), text)
        draft = Draft(page, place)
        draft.overlay.show([Token(word, 0.1, True, False) for word in words])
        draft.overlay._on_frame_due()
        developing = "".join(draft.overlay._fade.pieces)
        top = draft.overlay.geometry.origin_y()
        shown = draft.placement.shown("".join(words))
        draft.settle(shown)
        assert developing == shown
        assert draft.overlay.geometry.origin_y() == top
        lead = draft.placement.separator
        draft.keep()
        upto = text[:place] + lead + shown
        assert page.text().startswith(upto)
        assert page.textCursor().position() == len(upto)
        tail = page.text()[len(upto) :].removesuffix(text[place:])
        assert page.text() == upto + tail + text[place:]
        assert not tail.strip()
        page.undo()
        assert page.text() == text

    check()


def test_a_settled_draft_that_begins_above_the_window_is_drawn_as_far_as_it_reaches_in(qtbot: QtBot) -> None:
    page = make_page(qtbot, height=420)
    draft = begin(page, TEXT.index("\n"))
    draft.settle("word " * 300)
    page.verticalScrollBar().setValue(7)
    assert draft.overlay.geometry.origin_y() < -page.line_height
    shown = page.viewport().grab().toImage()
    draft.overlay.geometry.text = None
    assert shown != page.viewport().grab().toImage()


@pytest.mark.usefixtures("company")
def test_resize_and_zoom_keep_the_draft_under_its_paragraph(page: Page) -> None:
    draft = begin(page, TEXT.index("\n"))
    block = page.document().findBlock(0)
    for width, size in ((500, 18), (1200, 18), (1200, 30), (700, 12)):
        page.resize(width, 700)
        font = page.font()
        font.setPixelSize(size)
        page.set_prose_font(font)
        QApplication.processEvents()
        below = page.block_top(block.next())
        bar = draft.overlay.geometry.bar_top
        assert page.block_top(block) + page.gaps.text_bottom(block) < bar < below - 40


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("paragraphs", [1, 40])
def test_scrolling_moves_through_a_gap_that_is_higher_than_the_window(qtbot: QtBot, paragraphs: int) -> None:
    lines = [f"{number}. {'word ' * 30}" for number in range(paragraphs)]
    page = make_page(qtbot, "\n".join(lines) + "\n" + "\n".join(lines), height=300)
    draft = begin(page, len("\n".join(lines)), lines=40)
    _lay_out_all(page)
    scroll = page.verticalScrollBar()
    tops = []
    anchor = page.document().findBlockByNumber(paragraphs - 1)
    first = anchor.firstLineNumber()
    for value in range(first, min(scroll.maximum(), first + anchor.lineCount() + 3) + 1):
        scroll.setValue(value)
        tops.append(draft.overlay.geometry.bar_top)
    steps = [before - after for before, after in pairwise(tops)]
    assert len(steps) > 30
    assert min(steps) > 0
    assert max(steps) < 2 * page.line_height


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("lines", [9, 12, 40])
@pytest.mark.parametrize("paragraphs_after", [0, 2, 40])
def test_the_page_scrolls_to_its_end_and_no_further(qtbot: QtBot, lines: int, paragraphs_after: int) -> None:
    paragraph = "word " * 30
    page = make_page(qtbot, "\n".join([paragraph] * (1 + paragraphs_after)), height=300)
    begin(page, len(paragraph), lines)
    scroll = page.verticalScrollBar()
    scroll.setValue(scroll.maximum())
    last = page.document().lastBlock()
    bottom = page.block_top(last) + page.gaps.blockBoundingRect(last).height()
    assert 0 <= page.viewport().height() - bottom < 2 * page.line_height
    assert 0 < scroll.pageStep() <= page.viewport().height() / page.line_height


@pytest.mark.usefixtures("company")
def test_the_page_ends_where_its_text_does_when_a_draft_settles_shorter(qtbot: QtBot) -> None:
    text = "word " * 27 + "\n" + "x" * 198 + "\nShort one."
    page = make_page(qtbot, text, height=300)
    draft = begin(page, 230, lines=40)
    scroll = page.verticalScrollBar()
    scroll.setValue(scroll.maximum())
    QApplication.processEvents()
    assert page.gaps._gap_lines_above
    draft.settle("word " * 30)
    QApplication.processEvents()
    scroll.setValue(scroll.maximum())
    last = page.document().lastBlock()
    bottom = page.block_top(last) + page.gaps.blockBoundingRect(last).height()
    assert 0 <= page.viewport().height() - bottom < 2 * page.line_height


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("paragraphs_after", [0, 1, 2, 40])
@pytest.mark.parametrize(("lines", "words"), [(4, 3), (4, 300), (9, 20), (14, 20)])
def test_the_page_holds_still_when_a_draft_settles(
    qtbot: QtBot, paragraphs_after: int, lines: int, words: int
) -> None:
    page = make_page(qtbot, "\n".join(["word " * 30] * (41 + paragraphs_after)), height=420)
    block = page.document().findBlockByNumber(40)
    draft = begin(page, block.position() + block.length() - 1, lines)
    draft.overlay.geometry.scroll_into_view()
    QApplication.processEvents()
    draft.show("word " * words, 0.1)
    QApplication.processEvents()
    top = page.block_top(block)
    draft.settle("word " * words)
    QApplication.processEvents()
    assert page.block_top(block) == top
    page._relayout_overlays()
    assert page.block_top(block) == top


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
        page.gaps.blockBoundingRect(block)
        block = block.next()


def test_a_draft_makes_room_for_an_input_method(qtbot: QtBot) -> None:
    page = make_page(qtbot, "🦊 And so we")
    draft = begin(page, page.document().characterCount() - 1)
    draft.settle("left the house.")

    def left() -> float:
        assert draft.overlay.geometry.text is not None
        return min(
            run.positions()[0].x() for line in draft.overlay.geometry.text._lines for _, run in line.runs()
        )

    before = left()
    for unfinished in ("にほんご", "に" * 60):
        QApplication.sendEvent(page, QInputMethodEvent(unfinished, []))
        caret = page.cursorRect().left()
        assert abs(left() - caret) < 3
    QApplication.sendEvent(page, QInputMethodEvent("", []))
    assert left() == before


@pytest.mark.usefixtures("company")
def test_the_page_stands_still_while_a_draft_develops(qtbot: QtBot) -> None:
    page = make_page(qtbot, "\n".join(f"Paragraph {number}." for number in range(80)), height=400)
    page.verticalScrollBar().setValue(20)
    position = page.cursorForPosition(QPoint(10, 200)).block().position()
    draft = begin(page, position)
    block = page.document().findBlock(position)
    top, value = page.block_top(block), page.verticalScrollBar().value()
    for _ in range(7):
        draft.show("word " * 40, entropy=0.1)
        QApplication.processEvents()
    assert (page.block_top(block), page.verticalScrollBar().value()) == (top, value)


@pytest.mark.usefixtures("company")
def test_the_gap_grows_by_whole_lines_and_does_not_shrink_while_developing(page: Page) -> None:
    draft = begin(page, len(TEXT) + 1, lines=2)
    heights = [draft.overlay.geometry.gap.height]
    for words in (10, 60, 90, 20):
        draft.show("word " * words, entropy=0.1)
        heights.append(draft.overlay.geometry.gap.height)
    assert heights == sorted(heights)
    assert heights[-1] > heights[0]
    grown = (heights[-1] - heights[0]) / page.line_height
    assert grown == pytest.approx(round(grown), abs=0.1)


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


def test_the_caret_stays_in_view_where_the_text_grows_below_it(qtbot: QtBot) -> None:
    page = make_page(qtbot, "\n".join(f"Paragraph {number}." for number in range(60)), height=400)
    page.moveCursor(QTextCursor.MoveOperation.End)
    for _ in range(20):
        qtbot.keyClicks(page, "word")
        qtbot.keyClick(page, Key.Key_Return)
        assert page.viewport().rect().contains(page.cursorRect())


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("place", [60, 300, 600])
def test_the_caret_stays_in_view_where_much_is_deleted_below_a_draft(qtbot: QtBot, place: int) -> None:
    paragraph = "The ferry was late again, and Clara watched the lights. " * 14
    page = make_page(qtbot, "\n".join([paragraph] * 3), height=360)
    draft = begin(page, len(paragraph) + place)
    draft.settle(DRAFT)
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


@pytest.mark.usefixtures("company")
def test_what_takes_room_below_the_page_moves_no_draft_that_is_read(qtbot: QtBot) -> None:
    page = make_page(qtbot, "A line.\n" * 60)
    page.verticalScrollBar().setValue(9)
    caret = page.cursorForPosition(QPoint(0, 510)).position() + len("A line.")
    draft = begin(page, caret)
    top, height = draft.overlay.geometry.origin_y(), page.viewport().height()
    assert height - 100 < draft.overlay.geometry.rect().bottom() < height
    page.resize(page.width(), page.height() - 100)
    assert draft.overlay.geometry.origin_y() == top
    page.resize(page.width(), page.height() + 100)
    assert draft.overlay.geometry.origin_y() == top


def test_the_margin_beside_the_column_scrolls_and_selects(qtbot: QtBot) -> None:
    page = make_page(qtbot, TEXT, height=500)
    left = page.viewport().geometry().left()
    assert left > 20
    put_caret(page, 40)
    first_line = page.viewport().geometry().top() + page.cursorRect(cursor_at(page, 0)).center().y()
    qtbot.mouseClick(page, Qt.MouseButton.LeftButton, pos=QPoint(left // 2, first_line))
    assert page.textCursor().position() == 0


@pytest.mark.parametrize("first_is_inline", [True, False])
def test_two_drafts_of_one_paragraph_stand_one_below_the_other(page: Page, first_is_inline: bool) -> None:
    """What continues the paragraph's last line comes first, whatever was begun first."""
    block = page.document().lastBlock()
    within, at_end = TEXT.index("gate"), page.document().characterCount() - 1
    put_caret(page, at_end)
    page.insertPlainText(" and")
    at_end += 4
    places = [at_end, within] if first_is_inline else [within, at_end]
    drafts = {place: Draft(page, place) for place in places}
    for draft in drafts.values():
        draft.settle("word " * 30)
    inline, below = drafts[at_end].overlay.geometry, drafts[within].overlay.geometry
    text_bottom = page.block_top(block) + page.gaps.text_bottom(block)
    assert inline.rect().top() < text_bottom < inline.rect().bottom() < inline.bar_top
    assert inline.bar_top + 30 < below.rect().top() < below.rect().bottom()
    assert below.bar_top + 30 < page.block_top(block) + page.gaps.blockBoundingRect(block).height()
    drafts[at_end].overlay.close()
    assert abs(below.rect().top() - text_bottom - space_after(".", page.line_height)) < 1


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("paragraph", [0, 1, 20])
def test_a_draft_at_a_paragraphs_start_stands_above_it(qtbot: QtBot, paragraph: int) -> None:
    page = make_page(qtbot, "\n".join(f"{number}. {'word ' * 30}" for number in range(40)), height=400)
    block = page.document().findBlockByNumber(paragraph)
    draft = begin(page, block.position())
    draft.overlay.geometry.scroll_into_view()
    draft.settle("word " * 40)
    QApplication.processEvents()
    rect = draft.overlay.geometry.rect()
    assert rect.top() >= 0
    assert rect.bottom() < draft.overlay.geometry.bar_top < page.cursorRect(draft.placement.cursor).top()
    above = block.previous()
    if above.isValid():
        assert rect.top() >= page.block_top(above) + page.gaps.text_bottom(above)


@pytest.mark.parametrize("paragraphs", [1, 3, 40])
@pytest.mark.parametrize("place", ["start", "last"])
def test_the_page_scrolls_to_its_end_behind_a_draft_above(qtbot: QtBot, paragraphs: int, place: str) -> None:
    page = make_page(qtbot, "\n".join(["word " * 60] * paragraphs), height=300)
    last = page.document().lastBlock()
    begin(page, 0 if place == "start" else last.position(), lines=7)
    scroll = page.verticalScrollBar()
    scroll.setValue(scroll.maximum())
    bottom = page.block_top(last) + page.gaps.blockBoundingRect(last).height()
    past_end = page.viewport().height() - bottom
    assert past_end >= 0
    if paragraphs > 1:  # what opens the text is scrolled away with its first line
        assert past_end < 3 * page.line_height
    page.moveCursor(QTextCursor.MoveOperation.End)
    assert page.viewport().rect().contains(page.cursorRect())


def test_a_draft_that_opens_the_text_and_is_too_high_for_the_view_stands_below(qtbot: QtBot) -> None:
    page = make_page(qtbot, "One is here.\nTwo is here.", height=300)
    draft = begin(page, 0, lines=2)
    assert draft.overlay.geometry.rect().bottom() < page.cursorRect().top()
    draft.settle("word " * 400)
    QApplication.processEvents()
    assert draft.overlay.geometry.rect().top() > page.cursorRect().bottom()
    assert page.verticalScrollBar().maximum() > 10


def test_lines_are_counted_anew_where_a_draft_above_has_moved_away(qtbot: QtBot) -> None:
    page = make_page(qtbot, "\n".join(["word " * 60] * 20), height=300)
    second = page.document().findBlockByNumber(1)
    draft = begin(page, second.position(), lines=7)
    first = page.document().firstBlock()
    assert first.lineCount() > first.layout().lineCount()
    qtbot.keyClick(page, Key.Key_Return)
    QApplication.processEvents()
    assert first.lineCount() == first.layout().lineCount()
    draft.overlay.close()
    block = first
    while block.isValid():
        assert block.lineCount() == max(1, block.layout().lineCount())
        block = block.next()


def test_what_reads_from_the_right_stands_at_the_right_edge(qtbot: QtBot) -> None:
    page = make_page(qtbot, f"{HEBREW}\nOne is here.\n1. {HEBREW}")
    right = page.viewport().width() - page.document().documentMargin()
    for paragraph, at_right in enumerate((True, False, True)):
        block = page.document().findBlockByNumber(paragraph)
        line = page.gaps.last_line(block)
        assert (abs(line.naturalTextRect().right() - right) < 2) == at_right
    assert page.cursorRect(cursor_at(page, 0)).left() > right - 3
    put_caret(page, 0)
    qtbot.keyClicks(page, "One ")
    page.viewport().repaint()
    assert (
        page.gaps.last_line(page.document().firstBlock()).naturalTextRect().left()
        < page.document().documentMargin() + 5
    )


@pytest.mark.parametrize("text", ["הוא הלך אל הים", "ذهب إلى البحر", "הוא abc הים"])
def test_each_token_has_its_own_ink_in_what_reads_from_the_right(qtbot: QtBot, text: str) -> None:
    page = make_page(qtbot, "")
    draft = begin(page, 0)
    draft.overlay.show([Token(f"{word} ", 0.1, True, False) for word in text.split()])
    draft.overlay._on_frame_due()
    assert draft.overlay.geometry.text is not None
    left: dict[int, float] = {}
    for line in draft.overlay.geometry.text._lines:
        for owner, run in line.runs():
            left[owner] = min([left.get(owner, 9999.0), *(place.x() for place in run.positions())])
    assert sorted(left, key=lambda owner: -left[owner]) == list(range(len(text.split())))


def test_still_lines_and_the_mark_leave_the_words_before_them_alone(qtbot: QtBot) -> None:
    """From the left and from the right."""
    for text in ("He did not look", HEBREW):
        page = make_page(qtbot, text)
        page.setReadOnly(True)  # without a caret
        block = page.document().firstBlock()
        words = page.gaps.last_line(block).naturalTextRect().translated(0, page.block_top(block))
        plain = page.viewport().grab(words.toAlignedRect()).toImage()
        begin(page, len(text), reduced_motion=True)
        page.gaps.blockBoundingRect(block)
        assert page.viewport().grab(words.toAlignedRect()).toImage() == plain
