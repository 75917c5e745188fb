"""The marks beside a draft: where it will go in, and still lines where it will stand."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen

WAVE_PX = 3.0
"""Half a wave of the line under a glitch."""


def paint_insertion_mark(painter: QPainter, caret: QRectF, colour: QColor) -> None:
    """A caret-like mark where a draft shown below its paragraph will go in. caret: its rectangle there."""
    x, bottom, half = caret.center().x(), caret.bottom() - 1, 5
    _fill(painter, colour)
    painter.drawPolygon(
        [QPointF(x, bottom - half), QPointF(x + half, bottom + 2), QPointF(x - half, bottom + 2)]
    )
    painter.restore()


def paint_unkept(painter: QPainter, first: QRectF, rest: QRectF, colour: QColor) -> None:
    """The mark of a draft that is not kept: the faintest tint, and a quiet rule beside the lines of `rest`.
    first: its first line, which need not begin at the column's edge.
    """
    tint, rule = QColor(colour), QColor(colour)
    tint.setAlphaF(0.05)
    rule.setAlphaF(0.4)
    painter.fillRect(rest, tint)
    if not rest.contains(first):
        painter.fillRect(first, tint)
    painter.fillRect(QRectF(rest.left(), rest.top(), 2, rest.height()), rule)


def paint_passage(painter: QPainter, rects: list[QRectF], colour: QColor) -> None:
    """The mark of a passage that a draft is to replace: a quiet line under it."""
    colour.setAlphaF(0.55)
    for rect in rects:
        painter.fillRect(QRectF(rect.left(), rect.bottom() - 2, rect.width(), 1.5), colour)


def paint_difference(painter: QPainter, rects: list[QRectF], colour: QColor) -> None:
    """The mark of words that the other version has not."""
    colour.setAlphaF(0.16)
    for rect in rects:
        painter.fillRect(rect.adjusted(-1, 1, 1, -1), colour)


def paint_pinned(painter: QPainter, rects: list[QRectF], colour: QColor) -> None:
    """The mark of words that stay in the next draft: a frame."""
    _fill(painter, QColor(colour.red(), colour.green(), colour.blue(), 14))
    colour.setAlphaF(0.45)
    painter.setPen(colour)
    for rect in rects:
        painter.drawRoundedRect(rect.adjusted(-1.5, 1.5, 1.5, -1.5), 3, 3)
    painter.restore()


def paint_selected(painter: QPainter, rects: list[QRectF], colour: QColor) -> None:
    colour.setAlphaF(0.3)
    for rect in rects:
        painter.fillRect(rect, colour)


def paint_corrected(painter: QPainter, rects: list[QRectF], colour: QColor) -> None:
    """The mark of words that were corrected while they developed: a dotted line under them."""
    painter.save()
    painter.setPen(QPen(colour, 2, Qt.PenStyle.DotLine))
    for rect in rects:
        painter.drawLine(rect.bottomLeft() - QPointF(0, 2), rect.bottomRight() - QPointF(0, 2))
    painter.restore()


def paint_glitch(painter: QPainter, rects: list[QRectF], colour: QColor) -> None:
    """The mark of words that are broken: a wavy hairline under them."""
    colour.setAlphaF(0.65)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, 1.2))
    for rect in rects:
        wave, y = QPainterPath(QPointF(rect.left(), rect.bottom() - 3)), rect.bottom() - 3
        for step in range(max(2, round(rect.width() / WAVE_PX))):
            x = rect.left() + WAVE_PX * step
            wave.quadTo(x + WAVE_PX / 2, y + (2.5 if step % 2 else -2.5), x + WAVE_PX, y)
        painter.drawPath(wave)
    painter.restore()


def paint_fact(painter: QPainter, rects: list[QRectF], colour: QColor) -> None:
    """The mark of what the writer's text does not say: a faint hairline under it."""
    colour.setAlphaF(0.5)
    for rect in rects:
        painter.fillRect(QRectF(rect.left(), rect.bottom() - 3, rect.width(), 1), colour)


def paint_placeholder(
    painter: QPainter,
    column: QRectF,
    lines: int,
    font: QFont,
    lead_width: float,
    colour: QColor,
    *,
    from_right: bool,
) -> None:
    """Reduced motion: still lines down the column, as high as letters without ascenders and where these will
    stand. lead_width: of what the first one continues; from_right: which side that stands on, and lines
    begin at.
    """
    metrics = QFontMetricsF(font)
    line_height = ceil(metrics.ascent() + metrics.descent())
    _fill(painter, colour)
    if from_right:
        painter.translate(column.left() + column.right(), 0)
        painter.scale(-1, 1)
    top = column.top() + metrics.ascent() - metrics.xHeight()
    for line in range(lines):
        share = 0.62 if line + 1 == lines else 1.0
        left = column.left() + (lead_width if line == 0 else 0.0)
        width = max(0.0, column.width() * share - (left - column.left()))
        painter.drawRoundedRect(QRectF(left, top + line * line_height, width, metrics.xHeight()), 3, 3)
    painter.restore()


def _fill(painter: QPainter, colour: QColor) -> None:
    """The caller restores."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
