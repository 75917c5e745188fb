"""The band in the margin: what of the text goes into the prompt, or went."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter

from app.editor.page import Page
from app.provenance.sent_text import SentText

LEFT_PX, WIDTH_PX = 6, 2
ALPHA = 0.3


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
            lines = self._page.text_rects((part.selectionStart(), part.selectionEnd()))
            if lines:
                top = min(line.top() for line in lines)
                bottom = max(line.bottom() for line in lines)
                painter.fillRect(QRectF(LEFT_PX, top, WIDTH_PX, bottom - top), colour)
