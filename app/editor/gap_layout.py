"""The page's document layout: space after paragraphs, and gaps for drafts."""

from __future__ import annotations

from bisect import bisect_left
from math import ceil

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QTextBlock, QTextCursor, QTextDocument
from PySide6.QtWidgets import QPlainTextDocumentLayout

PARAGRAPH_SPACE_RATIO = 0.36
"""Space after a paragraph, in line heights."""


def space_after(text: str, line_height: float) -> float:
    """Space after a paragraph, px. A blank line is space enough."""
    return round(PARAGRAPH_SPACE_RATIO * line_height) if text else 0.0


class GapLayout(QPlainTextDocumentLayout):
    """A plain-text layout that leaves a gap of `gap_height` px under the block of the cursor `anchor`.

    QPlainTextEdit scrolls by lines, so the gap counts as lines of its block. It has no offset for a top line
    beyond a block's text: when the view is scrolled into the gap (`gap_lines_above` of its lines are off the
    top), the block's own lines are moved up out of the view and the block ends where the gap's rest does.
    """

    def __init__(self, document: QTextDocument, line_height: float) -> None:
        super().__init__(document)
        self.line_height = line_height
        self.anchor: QTextCursor | None = None
        self.gap_height = 0.0
        self.gap_lines_above = 0
        self.view_height = 0.0
        """Of the viewport, px. A gap that can be seen whole with all the text adds nothing to scroll."""
        self._scrolls = False

    def set_gap(self, anchor: QTextCursor | None, height: float) -> None:
        """Open, resize or (with None) close the gap; the caller repaints, and tells what is off the top."""
        self.gap_lines_above = 0  # the whole gap counts for how far can be scrolled
        old = self._anchor_block()
        self.anchor = anchor
        self.gap_height = height if anchor is not None else 0.0
        new = self._anchor_block()
        self._scrolls = not self._everything_fits()
        for block in {b.blockNumber(): b for b in (old, new) if b is not None}.values():
            self._mend(block)
        self.documentSizeChanged.emit(self.documentSize())

    def gap_lines(self) -> int:
        return int(-(-self.gap_height // self.line_height)) if self._scrolls else 0

    def rows_at_end(self) -> int:
        """Lines in view at the very end, the gap's among them: Qt counts the text's alone."""
        room = self.view_height - self.document().documentMargin() - 1
        rows, height, block = 0, 0.0, self.document().lastBlock()
        while block.isValid():
            height += self.blockBoundingRect(block).height()
            layout = block.layout()
            lines, gap = layout.lineCount(), self.gap_lines() if self._holds_gap(block) else 0
            above = height - room
            if above > 0:
                gap_above = max(0, ceil((above - self.text_bottom(block)) / self.line_height))
                first = bisect_left(range(lines), above, key=lambda line: layout.lineAt(line).y())
                return rows + lines - first + max(0, gap - gap_above)
            rows += lines + gap
            block = block.previous()
        return rows

    def text_bottom(self, block: QTextBlock) -> float:
        """Bottom of the block's own text, px below the block's top."""
        layout = block.layout()
        return layout.lineAt(layout.lineCount() - 1).naturalTextRect().bottom() if layout.lineCount() else 0.0

    def blockBoundingRect(self, block: QTextBlock) -> QRectF:
        rect = super().blockBoundingRect(block)
        if not block.isValid() or not block.isVisible():
            return rect
        if self._holds_gap(block):
            self._mend(block)
            rect.setHeight(self.text_bottom(block) + self.gap_height)
        rect.adjust(0, 0, 0, space_after(block.text(), self.line_height))
        return rect

    def _everything_fits(self) -> bool:
        height, block = 2 * self.document().documentMargin(), self.document().firstBlock()
        while block.isValid() and height <= self.view_height:
            height += self.blockBoundingRect(block).height()
            block = block.next()
        return height <= self.view_height

    def _anchor_block(self) -> QTextBlock | None:
        return self.anchor.block() if self.anchor is not None else None

    def _holds_gap(self, block: QTextBlock) -> bool:
        # Comparing QTextBlock objects is cheap; the anchor moves with the writer's edits.
        return self.anchor is not None and self.gap_height > 0 and self.anchor.block() == block

    def _mend(self, block: QTextBlock) -> None:
        """Give the block the line count and the line positions that the gap asks for."""
        layout = block.layout()
        count = layout.lineCount()
        if not count:
            return
        holds = self._holds_gap(block)
        block.setLineCount(count + (self.gap_lines() if holds else 0))
        top = 0.0
        if holds and self.gap_lines_above:
            height = (
                layout.lineAt(count - 1).naturalTextRect().bottom() - layout.lineAt(0).naturalTextRect().top()
            )
            top = -height - self.gap_lines_above * self.line_height
        shift = top - layout.lineAt(0).y()
        if shift:
            for index in range(count):
                line = layout.lineAt(index)
                line.setPosition(line.position() + QPointF(0, shift))
