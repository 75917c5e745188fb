"""A step of a replay as a picture, drawn as the page draws it, for what has no place in a page."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QImage,
    QPainter,
    QTextCursor,
    QTextDocument,
    QTextOption,
)

from app.editor.draft_layout import DraftText, ink, legible
from app.editor.marks import paint_corrected
from app.editor.page import Page
from app.editor.placement import Placement
from app.history.replay.trace import Trace
from app.widgets.theme import Theme


@dataclass(frozen=True)
class Paper:
    """What a draft is drawn on."""

    font: QFont
    theme: Theme
    width: float
    margin: float = 24
    ratio: float = 1.0
    """Pixels of a picture for each of the page's."""

    @classmethod
    def of(cls, page: Page) -> Paper:
        return cls(page.font(), page.theme, page.viewport().width(), ratio=page.devicePixelRatioF())

    @property
    def line_height(self) -> int:
        """As the page's."""
        metrics = QFontMetricsF(self.font)
        return ceil(metrics.ascent() + metrics.descent())


class StepPicture:
    """The draft after a step of a trace, without a text around it."""

    def __init__(self, trace: Trace, index: int, paper: Paper) -> None:
        self._paper = paper
        tokens, metrics = trace.shown_at(index), QFontMetricsF(paper.font)
        self._document = QTextDocument()  # an empty one, to whose beginning the draft would come
        place = Placement(QTextCursor(self._document))
        pieces = place.shown_pieces([legible(token, metrics) for token in tokens])
        settled = trace.is_settled_at(index)
        self._inks = [1.0 if settled else ink(token, at) for at, token in enumerate(tokens)]
        width = paper.width - 2 * paper.margin
        self._text = DraftText(pieces, paper.font, QTextOption(), width, paper.margin, paper.line_height)
        self._corrected = self._text.rects_of(trace.corrected_at(index))
        self.height = self._text.height + 2 * paper.margin

    def paint(self, painter: QPainter, theme: Theme) -> None:
        """theme: may be another one than the paper had."""
        origin = QPointF(0, self._paper.margin)
        marks = [rect.translated(origin) for rect in self._corrected]
        paint_corrected(painter, marks, QColor(theme.accent))
        everything = QRectF(0, 0, self._paper.width, self.height)
        self._text.paint(painter, origin, self._inks, QColor(theme.ink), QColor(theme.paper), everything)

    def image(self, height: float) -> QImage:
        """height: in px of the page, of all pictures of an animation."""
        paper = self._paper
        image = QImage(
            round(paper.width * paper.ratio), round(height * paper.ratio), QImage.Format.Format_RGB32
        )
        image.setDevicePixelRatio(paper.ratio)
        image.fill(QColor(paper.theme.paper))
        painter = QPainter(image)
        self.paint(painter, paper.theme)
        painter.end()
        return image
