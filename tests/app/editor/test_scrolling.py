"""The page scrolls past gaps, holds still where a draft settles, and keeps the caret in view."""

import random
from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.editor.page import Page
from tests.app.editor.conftest import DRAFT
from tests.app.pages import TEXT, begin, cursor_at, make_page, put_caret

Key = Qt.Key


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
    assert draft.overlay.geometry.rect().top() < 0
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
    page.set_prose_font(page.font())  # all is laid out anew
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
