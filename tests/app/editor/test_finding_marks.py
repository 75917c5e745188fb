"""How what was found in a settled draft is marked in the page."""

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.protocol.requests import Span
from tests.app.pages import END, Draft, begin, make_page


def seen(draft: Draft) -> QImage:
    """Its lines."""
    QApplication.processEvents()
    lines = draft.overlay.geometry.rect().toRect()
    return draft.page.viewport().grab(lines).toImage()


def changed(one: QImage, other: QImage) -> QRectF:
    """The smallest rectangle that holds all pixels that differ."""
    places = [
        (x, y)
        for x in range(one.width())
        for y in range(one.height())
        if one.pixel(x, y) != other.pixel(x, y)
    ]
    rect = QRectF()
    for x, y in places:
        rect |= QRectF(x, y, 1, 1)
    return rect


def test_a_line_stands_under_the_words_and_goes_with_the_marks(qtbot: QtBot) -> None:
    draft = begin(make_page(qtbot), END, reduced_motion=True)
    draft.settle("It rained and rained, and Ida saw it.")
    top = draft.overlay.geometry.rect().top()
    bare, glitch, fact = seen(draft), Span(14, 20), Span(26, 29)
    for spans, span in ((([glitch], []), glitch), (([], [fact]), fact)):
        draft.overlay.mark_findings(*spans)
        (word,) = draft.overlay.geometry.rects_of(span)
        line = changed(bare, seen(draft)).translated(0, top)
        assert 0 < line.height() < word.height() / 3
        assert word.center().y() < line.top() < line.bottom() <= word.bottom() + 1
        assert abs(line.left() - word.left()) < 4
        assert abs(line.right() - word.right()) < 5
    draft.overlay.mark_findings([], [])
    assert changed(bare, seen(draft)).isNull()
