"""How a draft is painted in the history's list."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPalette, QTextLayout
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.history.record import DraftRow
from app.history.ui.draft_list import ROW
from app.history.words import state_of, when_text
from app.widgets.panel import MARGIN

_TEXT_LINES = 2
_LINE_HEIGHT = 1.3
_ABOVE_PX = 9
_BAR_PX = 2
"""Of the row that is chosen, at its left."""


class RowDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(0, _line_height(option.fontMetrics) * (_TEXT_LINES + 1) + 2 * _ABOVE_PX)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row: DraftRow = index.data(ROW)
        colours, metrics = option.palette, option.fontMetrics
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            focused = option.state & QStyle.StateFlag.State_HasFocus
            colour = colours.color(QPalette.ColorRole.Highlight if focused else QPalette.ColorRole.Dark)
            bar = QRect(option.rect.left() + MARGIN - 10, option.rect.top() + _ABOVE_PX, _BAR_PX, 0)
            bar.setBottom(option.rect.bottom() - _ABOVE_PX)
            painter.fillRect(bar, colour)
        room = option.rect.adjusted(MARGIN, _ABOVE_PX, -MARGIN, -_ABOVE_PX)
        painter.setFont(option.font)
        painter.setPen(colours.color(QPalette.ColorRole.PlaceholderText))
        self._paint_heading(painter, row, room, metrics)
        painter.setPen(colours.color(QPalette.ColorRole.Text))
        painter.setClipRect(room)
        _paint_text(painter, row.text, room.adjusted(0, _line_height(metrics), 0, 0), metrics)
        painter.restore()

    def _paint_heading(self, painter: QPainter, row: DraftRow, room: QRect, metrics: QFontMetrics) -> None:
        line = QRect(room.topLeft(), QSize(room.width(), _line_height(metrics)))
        state = state_of(row) if row.kept else ""
        painter.drawText(line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, state)
        left = room.width() - metrics.horizontalAdvance(f"{state}  ")
        told = metrics.elidedText(f"{when_text(row.at)} · {row.name}", Qt.TextElideMode.ElideRight, left)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, told)


def _line_height(metrics: QFontMetrics) -> int:
    return round(_LINE_HEIGHT * metrics.lineSpacing())


def _paint_text(painter: QPainter, text: str, room: QRect, metrics: QFontMetrics) -> None:
    """Its first lines; the last one is elided."""
    text, top = " ".join(text.split()), room.top() + (_line_height(metrics) - metrics.lineSpacing()) / 2
    for number in range(_TEXT_LINES):
        if number == _TEXT_LINES - 1:
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room.width())
        layout = QTextLayout(text, painter.font())
        layout.beginLayout()
        line = layout.createLine()
        if line.isValid():
            line.setLineWidth(room.width())
        layout.endLayout()
        layout.draw(painter, QPointF(room.left(), top))
        text = _behind(text, line.textLength()) if line.isValid() else ""
        top += _line_height(metrics)


def _behind(text: str, units: int) -> str:
    """units: UTF-16."""
    return text.encode("utf-16-le")[2 * units :].decode("utf-16-le")
