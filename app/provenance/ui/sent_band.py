"""The band in the margin: what of the text goes into the prompt, or went."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter, QTextCursor

from app.documents.text import cursor_over
from app.editor.page import Page
from app.provenance.sent_text import SentText

LEFT_PX, WIDTH_PX = 6, 2
ALPHA = 0.24


class SentBand:
    def __init__(self, page: Page, sent: SentText) -> None:
        self._page = page
        self._sent = sent
        page.grounds.append(self.paint)
        sent.changed.connect(page.viewport().update)

    def paint(self, painter: QPainter, _clip: QRectF) -> None:
        sent = self._sent.current
        colour = QColor(self._page.theme.secondary)
        colour.setAlphaF(ALPHA)
        for part in sent.parts if sent else ():
            first, last = cursor_over(part.document(), part.selectionStart()), QTextCursor(part)
            last.setPosition(part.selectionEnd())
            top, bottom = self._line_of(first)[0], self._line_of(last)[1]
            painter.fillRect(QRectF(LEFT_PX, top, WIDTH_PX, bottom - top), colour)

    def _line_of(self, cursor: QTextCursor) -> tuple[float, float]:
        """Where it stands in the viewport, from top to bottom; outside of it where it is out of view."""
        block, page = cursor.block(), self._page
        if block.blockNumber() < page.firstVisibleBlock().blockNumber():
            return -page.line_height, 0.0
        line = block.layout().lineForTextPosition(cursor.positionInBlock())
        top = page.block_top(block) + (line.y() if line.isValid() else 0.0)
        return top, top + page.line_height
