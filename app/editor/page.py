"""The page: one centred column of plain text, with overlays painted beside it."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Protocol

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QFont,
    QFontMetricsF,
    QInputMethodEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlock,
    QTextCursor,
)
from PySide6.QtWidgets import QFrame, QWidget

from app.editor.draft_layout import line_rects
from app.editor.gap_layout import GapLayout
from app.editor.text_edit import TextEdit
from app.widgets.theme import LIGHT, Theme

PLACEHOLDER = "Begin here."
MARGIN_PX = 14
"""Between the text and the viewport's edge: the mark of an unkept draft stands there."""
_COLUMN = "A column of prose some eighty characters wide, which is as wide as eyes like."


class PageOverlay(Protocol):
    """What is painted in the page beside its text, in a gap of its layout."""

    def paint(self, painter: QPainter, clip: QRectF) -> None:
        """clip: of the viewport, px."""

    def relayout(self) -> None:
        """The text, the font or the column may be another one."""


class Page(TextEdit):
    """Edits the document; knows overlays, and nothing of what they show."""

    geometry_changed = Signal()
    """Places in the page may be other ones. Told when Qt has done with what changed them: asking in its midst
    disturbs it.
    """

    def __init__(self, font: QFont, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme: Theme = LIGHT
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Page")
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setPlaceholderText(PLACEHOLDER)
        self.line_height = 1.0
        self.gaps = GapLayout(self.document(), 1.0)
        self.grounds: list[Callable[[QPainter, QRectF], None]] = []
        """Paint what is under the text, in the part of the viewport that they are given."""
        self._overlays: list[PageOverlay] = []
        self._tells_geometry = False
        self.document().setDocumentLayout(self.gaps)
        self.document().setDocumentMargin(MARGIN_PX)
        self.document().clearUndoRedoStacks()  # Qt takes the margin for an edit
        self.document().setModified(False)
        self.gaps.documentSizeChanged.connect(self._on_document_size)
        self.setCursorWidth(2)  # the document's layout keeps it
        self.set_prose_font(font)
        self.document().contentsChange.connect(self._on_contents_change)
        self.document().contentsChanged.connect(self._on_contents_changed)
        self.updateRequest.connect(self.tell_geometry)
        bar = self.verticalScrollBar()  # with nothing to scroll not drawn; its room stays: no line wraps anew
        bar.rangeChanged.connect(lambda _, last: bar.setEnabled(last > 0))

    # ---------------------------------------------------------------- overlays

    def add_overlay(self, overlay: PageOverlay) -> None:
        self._overlays.append(overlay)
        self._on_overlays()

    def remove_overlay(self, overlay: PageOverlay) -> None:
        self._overlays.remove(overlay)
        self._on_overlays()

    def _on_overlays(self) -> None:
        self.setPlaceholderText("" if self._overlays else PLACEHOLDER)
        self.viewport().update()
        self.tell_geometry()

    def _relayout_overlays(self) -> None:
        if self._overlays:
            with self.gaps.one_update():
                for overlay in self._overlays:
                    overlay.relayout()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.grounds:
            ground = QPainter(self.viewport())
            for paint in self.grounds:
                paint(ground, event.rect().toRectF())
            ground.end()
        super().paintEvent(event)
        if self._overlays:
            painter = QPainter(self.viewport())
            painter.setClipRect(event.rect())
            for overlay in self._overlays:
                overlay.paint(painter, event.rect().toRectF())
            painter.end()

    # ---------------------------------------------------------------- font, theme, column

    def set_prose_font(self, font: QFont) -> None:
        self.setFont(font)
        self.document().setDefaultFont(font)
        metrics = QFontMetricsF(font)
        # As QTextLine rounds it.
        self.line_height = self.gaps.line_height = ceil(metrics.ascent() + metrics.descent())
        self.setTabStopDistance(4 * metrics.horizontalAdvance(" "))
        self._set_column()
        # Qt sets how far can be scrolled before all lines are laid out anew.
        self.gaps.documentSizeChanged.emit(self.gaps.documentSize())
        self._relayout_overlays()

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.viewport().update()

    def _set_column(self) -> None:
        """Centre the column by the viewport's margins."""
        column = QFontMetricsF(self.font()).horizontalAdvance(_COLUMN) + 2 * self.document().documentMargin()
        side = max(28 - MARGIN_PX, int((self.width() - column) / 2))
        bar = self.verticalScrollBar().sizeHint().width()
        self.setViewportMargins(side, 24 - MARGIN_PX, max(8, side - bar), 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The line in hand stays in view: a message may have come below it."""
        caret_was_in_view = QRect(QPoint(), event.oldSize()).contains(self.cursorRect())
        super().resizeEvent(event)
        self.gaps.view_height = self.viewport().height()
        self._relayout_overlays()
        if caret_was_in_view:
            self.ensureCursorVisible()

    # ---------------------------------------------------------------- edits

    def _on_contents_change(self, position: int, _removed: int, added: int) -> None:
        """A line that is blank now, or no longer, has another height, which Qt does not expect."""
        if self.document().findBlock(position).length() - 1 in (0, added):
            self.viewport().update()

    def _on_contents_changed(self) -> None:
        if self._overlays:
            QTimer.singleShot(0, self, self._after_edit_beside_overlays)

    def _after_edit_beside_overlays(self) -> None:
        """The layout has seen the change; its gaps may stand elsewhere now."""
        self._relayout_overlays()
        self.ensureCursorVisible()
        self.tell_geometry()

    # ---------------------------------------------------------------- geometry

    def tell_geometry(self) -> None:
        """Whatever changes until then is told at once."""
        if not self._tells_geometry:
            self._tells_geometry = True
            QTimer.singleShot(0, self, self._on_geometry_due)

    def _on_geometry_due(self) -> None:
        self._tells_geometry = False
        self.geometry_changed.emit()

    def block_top(self, block: QTextBlock) -> float:
        """Viewport y of the block's top; far from the view it is only told that it is far."""
        return self.blockBoundingGeometry(block).top() + self.contentOffset().y()

    def text_rects(self, *spans: tuple[int, int]) -> list[QRectF]:
        """Of the text between UTF-16 positions, line by line, where it is in view; viewport px."""
        rects: list[QRectF] = []
        tops: dict[int, float] = {}
        visible = self.firstVisibleBlock()
        for start, end in spans:
            block = max(self.document().findBlock(start), visible, key=QTextBlock.position)
            while block.isValid() and (begins_at := block.position()) < end:
                if begins_at not in tops:
                    tops[begins_at] = self.block_top(block)
                if (top := tops[begins_at]) > self.viewport().height():
                    return rects
                lines = line_rects(block.layout(), start - begins_at, end - begins_at)
                rects += [rect.translated(0, top) for rect in lines]
                block = block.next()
        return rects

    def lines_of(self, text: str) -> int:
        """About how many lines of the column it takes."""
        metrics, width = QFontMetricsF(self.font()), self.viewport().width() - 2 * MARGIN_PX
        return sum(1 + int(metrics.horizontalAdvance(line) / max(1, width)) for line in text.split("\n"))

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        if self.gaps.scroll_to(self.verticalScrollBar().value()):
            # The lines move by other distances than Qt would shift the pixels by: paint all of it.
            self.viewport().setUpdatesEnabled(False)
            super().scrollContentsBy(dx, dy)
            self.viewport().setUpdatesEnabled(True)
        else:
            super().scrollContentsBy(dx, dy)
        self.tell_geometry()

    def _on_document_size(self) -> None:
        """Qt has set how far can be scrolled, without the gaps."""
        if self.gaps.adds_lines:
            scroll = self.verticalScrollBar()
            rows = self.gaps.rows_at_end()
            scroll.setMaximum(self.document().lineCount() - rows)
            scroll.setPageStep(rows)
            self.gaps.scroll_to(scroll.value())

    def scroll_to_line_of(self, cursor: QTextCursor) -> None:
        """Scroll, if that line is out of view, so that it stands in the upper third."""
        scroll, block = self.verticalScrollBar(), cursor.block()
        self.gaps.blockBoundingRect(block)  # lays it out
        inside = block.layout().lineForTextPosition(cursor.positionInBlock()).lineNumber()
        line, rows = block.firstLineNumber() + inside, int(self.viewport().height() / self.line_height)
        if not scroll.value() <= line < scroll.value() + rows:
            scroll.setValue(max(0, line - rows // 3))

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        super().inputMethodEvent(event)
        self._relayout_overlays()  # unfinished text is no change of the document

    def event(self, event: QEvent) -> bool:
        if event.type() != QEvent.Type.Resize:
            return super().event(event)
        self._set_column()
        handled = super().event(event)
        self.tell_geometry()  # the column may have moved without getting another size
        return handled
