"""Where drafts stand in the page, each in its gap, and in which ink."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QInputMethodEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.editor.draft_overlay import FRAME_INTERVAL_MS
from app.editor.gap_layout import space_after
from app.editor.page import Page
from engine.protocol.events import Token
from tests.app.editor.conftest import HEBREW
from tests.app.pages import TEXT, Draft, begin, cursor_at, make_page, put_caret
from tests.app.timers import let_pass

Key = Qt.Key


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


def test_a_draft_makes_room_for_an_input_method(qtbot: QtBot) -> None:
    page = make_page(qtbot, "🦊 And so we")
    draft = begin(page, page.document().characterCount() - 1)
    draft.settle("left the house.")

    def left() -> float:
        assert draft.overlay.geometry.text is not None
        return min(rect.left() for rect in draft.overlay.geometry.text.rects_of({0}))

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
    let_pass(draft.overlay, FRAME_INTERVAL_MS)
    assert draft.overlay.geometry.text is not None
    rects = [draft.overlay.geometry.text.rects_of({token}) for token in range(len(text.split()))]
    left = [min(rect.left() for rect in of_token) for of_token in rects]
    assert left == sorted(left, reverse=True)


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
