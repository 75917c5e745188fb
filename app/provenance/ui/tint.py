"""The tint under drafted words."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter

from app.editor.page import Page
from app.provenance.paragraphs import UNKNOWN
from app.provenance.tracker import Provenance

ALPHA = 0.07


class Tint:
    """Painted while it is shown; the faintest that can be seen."""

    def __init__(self, page: Page, provenance: Provenance) -> None:
        self._page = page
        self._provenance = provenance
        self.shown = False
        page.grounds.append(self.paint)
        provenance.changed.connect(page.viewport().update)

    def show(self, shown: bool) -> None:
        self.shown = shown
        self._page.viewport().update()

    def paint(self, painter: QPainter, clip: QRectF) -> None:
        if self.shown:
            colour = QColor(self._page.theme.accent)
            colour.setAlphaF(ALPHA)
            for rect in self._page.text_rects(*self._spans(clip)):
                painter.fillRect(rect, colour)

    def _spans(self, clip: QRectF) -> Iterator[tuple[int, int]]:
        """What is drafted of the paragraphs there, in positions of the text."""
        block, page = self._page.firstVisibleBlock(), self._page
        top = page.block_top(block)
        while block.isValid() and top < clip.bottom():
            bottom = top + page.blockBoundingRect(block).height()
            for run in self._provenance.of(block.blockNumber()).runs if bottom > clip.top() else ():
                if run.owner != UNKNOWN:
                    yield block.position() + run.start, block.position() + run.end
            block, top = block.next(), bottom
