"""The page's document layout: space after paragraphs, and gaps for drafts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from math import ceil

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QTextBlock, QTextCursor, QTextDocument, QTextLine, QTextOption
from PySide6.QtWidgets import QPlainTextDocumentLayout

from app.editor.join import is_right_to_left

PARAGRAPH_SPACE_RATIO = 0.36
"""Space after a paragraph, in line heights."""


def space_after(text: str, line_height: float) -> float:
    """Space after a paragraph, px. A blank line is space enough."""
    return round(PARAGRAPH_SPACE_RATIO * line_height) if text else 0.0


def text_option(default: QTextOption, text: str) -> QTextOption:
    """What reads from the right stands at the right edge."""
    option = QTextOption(default)
    if is_right_to_left(text):
        option.setAlignment(Qt.AlignmentFlag.AlignRight)
    return option


class Gap:
    """Room under one block. It stands where its anchor is, and so moves with the writer's edits."""

    def __init__(self, anchor: QTextCursor) -> None:
        self.anchor = anchor
        self.height = 0.0
        """px."""
        self.continues_line = False
        """What is drawn in it begins on the block's last line: no other gap comes between."""
        self.is_above = False  # set before it is resized
        """It stands over the anchor's block: under the block before, or over the text's first line."""

    @property
    def block(self) -> QTextBlock:
        """The block that has its room."""
        block = self.anchor.block()
        return block.previous() if self.is_above and block.blockNumber() else block

    @property
    def opens_text(self) -> bool:
        return self.is_above and self.anchor.block().blockNumber() == 0


class GapLayout(QPlainTextDocumentLayout):
    """A plain-text layout that leaves gaps under the blocks that their anchors stand in.

    QPlainTextEdit scrolls by lines, so a gap counts as lines of its block. It has no offset for a top line
    beyond a block's text: when the view is scrolled into a block's gaps (`gap_lines_above` of their lines are
    off the top), the block's own lines are moved up out of the view and the block ends where the gaps' rest
    does.
    """

    def __init__(self, document: QTextDocument, line_height: float) -> None:
        super().__init__(document)
        self.line_height = line_height
        self.view_height = 0.0
        """Of the viewport, px. Gaps that can be seen whole with all the text add nothing to scroll."""
        self._gaps: list[Gap] = []
        self._by_block: dict[int, list[Gap]] | None = None
        """The gaps under a block's text, from the top; None when they are to be found anew."""
        self._held: list[QTextBlock] = []
        """Blocks that have been given gaps' lines."""
        self._top_block: QTextBlock | None = None
        self._gap_lines_above = 0
        self._scrolls = False
        self._waits = False

    # ---------------------------------------------------------------- gaps

    def open_gap(self, anchor: QTextCursor) -> Gap:
        """A gap that has no height yet."""
        gap = Gap(anchor)
        self._gaps.append(gap)
        self._by_block = None
        return gap

    def resize_gap(self, gap: Gap, height: float, *, continues_line: bool = False) -> None:
        """height: px. The caller repaints."""
        gap.height, gap.continues_line = height, continues_line
        self._by_block = None
        self._update()

    @contextmanager
    def one_update(self) -> Iterator[None]:
        """Gaps that are resized inside are laid out together."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
            self._update()

    def close_gap(self, gap: Gap) -> None:
        self._gaps.remove(gap)
        self._by_block = None
        self._update()

    def gap_top(self, gap: Gap) -> float:
        """px below the top of the gap's block: under its text and under the gaps that come before."""
        if gap.opens_text:
            return 0.0
        block = gap.block
        above = takewhile(lambda other: other is not gap, self._gaps_of(block))
        return self.text_bottom(block) + sum(other.height for other in above)

    def _update(self) -> None:
        if self._waits:
            return
        self._top_block, self._gap_lines_above = None, 0  # all gaps count for how far can be scrolled
        self._scrolls = not self._everything_fits()
        blocks = [self.document().findBlockByNumber(number) for number in self._gaps_by_block()]
        for block in (*blocks, *(block for block in self._held if block.isValid())):
            self._mend(block)
        self._held = blocks
        self.documentSizeChanged.emit(self.documentSize())

    def documentChanged(self, position: int, removed: int, added: int) -> None:
        self._by_block = None
        super().documentChanged(position, removed, added)

    def _gaps_by_block(self) -> dict[int, list[Gap]]:
        """By the number of each block that gaps stand at; found once after a change."""
        if self._by_block is None:
            self._by_block = {}
            order = sorted(self._gaps, key=lambda gap: (not gap.continues_line, gap.anchor.position()))
            for gap in order:
                gaps = self._by_block.setdefault(gap.block.blockNumber(), [])
                if gap.height > 0 and not gap.opens_text:
                    gaps.append(gap)
        return self._by_block

    def _gaps_of(self, block: QTextBlock) -> list[Gap]:
        """Under its text, from the top."""
        return self._gaps_by_block().get(block.blockNumber(), [])

    def _gap_over(self, block: QTextBlock) -> float:
        """Height of what opens the text, if that is the block; px."""
        return 0.0 if block.blockNumber() else sum(gap.height for gap in self._gaps if gap.opens_text)

    def _gap_lines(self, block: QTextBlock) -> int:
        if not self._scrolls:
            return 0
        return ceil(sum(gap.height for gap in self._gaps_of(block)) / self.line_height)

    # ---------------------------------------------------------------- scrolling

    @property
    def adds_lines(self) -> bool:
        """Whether gaps make the page longer than its text."""
        return self._scrolls and any(gap.height > 0 for gap in self._gaps)

    def scroll_to(self, top_line: int) -> bool:
        """The view begins with this line of the document, gaps' lines among them. True if the blocks stand
        elsewhere than Qt takes them to.
        """
        former = self._top_block, self._gap_lines_above
        self._top_block, self._gap_lines_above = None, 0
        for number in self._gaps_by_block():
            block = self.document().findBlockByNumber(number)
            above = top_line - block.firstLineNumber() - block.layout().lineCount()
            if 0 < above < self._gap_lines(block):
                self._top_block, self._gap_lines_above = block, above
        return former != (self._top_block, self._gap_lines_above) or self._gap_lines_above > 0

    def rows_at_end(self) -> int:
        """Lines in view at the very end, the gaps' among them: Qt counts the text's alone."""
        self._top_block, self._gap_lines_above = None, 0
        room = self.view_height - self.document().documentMargin() - 1
        rows, height, block = 0, 0.0, self.document().lastBlock()
        while block.isValid():
            height += self.blockBoundingRect(block).height()
            layout = block.layout()
            lines, gap = layout.lineCount(), self._gap_lines(block)
            above = height - room
            if above > 0:
                gap_above = max(0, ceil((above - self.text_bottom(block)) / self.line_height))
                first = bisect_left(range(lines), above, key=lambda line: layout.lineAt(line).y())
                first = max(first, 1)  # what opens the text is scrolled away with its first line
                return rows + lines - first + max(0, gap - gap_above)
            rows += lines + gap
            block = block.previous()
        return rows

    def _everything_fits(self) -> bool:
        height, block = 2 * self.document().documentMargin(), self.document().firstBlock()
        while block.isValid() and height <= self.view_height:
            height += self.blockBoundingRect(block).height()
            block = block.next()
        return height <= self.view_height

    # ---------------------------------------------------------------- blocks

    def text_bottom(self, block: QTextBlock) -> float:
        """Bottom of the block's own text, px below the block's top."""
        layout = block.layout()
        return layout.lineAt(layout.lineCount() - 1).naturalTextRect().bottom() if layout.lineCount() else 0.0

    def last_line(self, block: QTextBlock) -> QTextLine:
        self.blockBoundingRect(block)  # lays it out
        return block.layout().lineAt(block.layout().lineCount() - 1)

    def blockBoundingRect(self, block: QTextBlock) -> QRectF:
        rect = super().blockBoundingRect(block)
        if not block.isValid() or not block.isVisible():
            return rect
        text = block.text()
        if is_right_to_left(text):
            block.layout().setTextOption(text_option(self.document().defaultTextOption(), text))
        if (gaps := self._gaps_by_block().get(block.blockNumber())) is not None:
            self._mend(block)
            height = sum(gap.height for gap in gaps)
            margin = 0.0 if gaps or block.next().isValid() else self.document().documentMargin()
            rect.setHeight(self.text_bottom(block) + height + margin)
        rect.adjust(0, 0, 0, space_after(text, self.line_height))
        return rect

    def _mend(self, block: QTextBlock) -> None:
        """Give the block the line count and the line positions that its gaps ask for."""
        layout = block.layout()
        count = layout.lineCount()
        if not count:
            return
        block.setLineCount(count + self._gap_lines(block))
        first, top = layout.lineAt(0), self._gap_over(block)
        if block == self._top_block:
            top = first.naturalTextRect().top() - layout.lineAt(count - 1).naturalTextRect().bottom()
            top -= self._gap_lines_above * self.line_height
        if shift := top - first.y():
            for index in range(count):
                line = layout.lineAt(index)
                line.setPosition(line.position() + QPointF(0, shift))
