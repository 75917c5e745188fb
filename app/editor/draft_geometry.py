"""Where a draft stands in the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QTextCursor

from app.documents.text import characters, utf16_length
from app.editor.draft_layout import DraftText
from app.editor.gap_layout import space_after
from app.editor.join import JoinMode, is_right_to_left
from app.editor.placement import Placement
from engine.protocol.requests import Span

if TYPE_CHECKING:
    from app.editor.page import Page

BAR_SPACE_PX = 58
"""Room for the draft's bar under its last line."""
BAR_HEIGHT_PX = 48


class DraftGeometry:
    """A draft's lines in a gap of the page's layout, and the place of its bar; in px of the viewport."""

    def __init__(self, page: Page, placement: Placement, reserved_lines: int) -> None:
        self._page = page
        self._placement = placement
        self.gap = page.gaps.open_gap(placement.cursor)
        self.lines = reserved_lines
        """Kept free while it develops."""
        self.settled = False
        self.replays = False
        """A settled draft shows how it developed; the page holds still meanwhile."""
        self.text: DraftText | None = None
        self._pieces: Sequence[str] = ()
        self._laid_out: tuple[object, ...] = ()
        """What the layout was made from."""
        self.changed_rects: list[QRectF] = []
        """Where words stand that the passage has not, px below the draft's top."""
        self._tallest = 0.0
        """Height of the tallest settled draft in this column."""
        self._least_gap = 0.0
        """At the text's end a lower gap would let the page slide down."""

    def holds(self, place: QPointF) -> bool:
        """Whether a place in the viewport is in the lines of the draft."""
        lines = self.line_rects()
        return self.text is not None and any(rect.contains(place) for rect in lines)

    def character_at(self, place: QPointF) -> int:
        """The one of the draft's text that is nearest to the place."""
        assert self.text is not None
        return characters("".join(self._pieces), self.text.unit_at(place - self.rect().topLeft()))

    def rects_of(self, part: Span) -> list[QRectF]:
        """Of that part of the draft's text, line by line; viewport px."""
        assert self.text is not None
        text, origin = "".join(self._pieces), self.rect().topLeft()
        start, end = (utf16_length(text[:at]) for at in (part.start, part.end))
        return [rect.translated(origin) for rect in self.text.rects_between(start, end)]

    def line_rects(self) -> tuple[QRectF, QRectF]:
        """The draft's first line, which need not begin at the column's edge, and all of the others."""
        shown = self.rect()
        first, rest = shown.adjusted(0, 0, 0, self._page.line_height - shown.height()), shown
        if self._placement.mode is JoinMode.INLINE:
            caret = QRectF(self._page.cursorRect(self._placement.cursor))
            from_right = is_right_to_left(self._placement.cursor.block().text())
            rest = shown.adjusted(0, first.height(), 0, 0)
            first.setRight(caret.left() - 2) if from_right else first.setLeft(caret.right() + 2)
        return first, rest

    @property
    def line_count(self) -> int:
        """Lines that the draft takes in the page."""
        return len(self.text.line_bottoms) if self.text is not None else 0

    @property
    def bar_top(self) -> float:
        """Where the bar goes: viewport px of its upper edge."""
        return self.origin_y() + self._shown_height() + 10

    def is_in_view(self) -> bool:
        return self.rect().intersects(QRectF(self._page.viewport().rect()))

    def scroll_into_view(self) -> None:
        """Scroll as little as will do, so that the draft and its bar can be seen; the anchor's line stays."""
        page, scroll, cursor = self._page, self._page.verticalScrollBar(), QTextCursor(self._placement.cursor)
        if self.gap.block != cursor.block():
            cursor.movePosition(QTextCursor.MoveOperation.PreviousBlock)
            cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
        page.scroll_to_line_of(cursor)
        while self.bar_top + BAR_HEIGHT_PX > page.viewport().height():
            room = page.cursorRect(cursor).top() > page.line_height
            if not room or scroll.value() == scroll.maximum():
                return
            scroll.setValue(scroll.value() + 1)

    def _offset(self) -> float:
        """Space between the paragraph above and the draft's first line, as it will be once it is kept."""
        if self.gap.opens_text:
            return 0.0
        blank_lines = len(self._placement.separator) - (not self.gap.is_above)
        space = space_after(self.gap.block.text(), self._page.line_height)
        return space + max(0, blank_lines) * self._page.line_height

    def origin_y(self) -> float:
        """Viewport y of the top of the laid-out text."""
        block = self.gap.block
        top = self._page.block_top(block)
        if self._placement.mode is JoinMode.INLINE:
            return top + self._page.gaps.last_line(block).y()
        return top + self._page.gaps.gap_top(self.gap) + self._offset()

    def _shown_height(self) -> float:
        """Height of the lines that are shown or reserved; never less than of the tallest draft here."""
        bottoms = self.text.line_bottoms if self.text is not None else []
        if self.settled or not self.lines:
            return self._tallest
        more = max(0, self.lines - len(bottoms))
        shown = bottoms[self.lines - more - 1] if bottoms else 0.0
        return max(self._tallest, shown + more * self._page.line_height)

    def rect(self) -> QRectF:
        return QRectF(0, self.origin_y(), self._page.viewport().width(), self._shown_height())

    # ---------------------------------------------------------------- layout

    def lay_out(self, pieces: Sequence[str], changed: frozenset[int]) -> None:
        """Unless the text, the width, the font and the line that it continues are as they were. changed:
        pieces that the passage has not.
        """
        self._pieces = pieces
        page, lead = self._page, self._placement.indent
        if self._placement.mode is JoinMode.INLINE:
            lead = self._placement.lead(page.gaps.last_line(self._placement.cursor.block()))
        margin = page.document().documentMargin()
        width = page.viewport().width() - 2 * margin
        laid_out = ((pieces, changed), page.font(), width, margin, page.line_height, lead)
        if laid_out[1:] != self._laid_out[1:]:
            self._tallest = self._least_gap = 0.0
        if self.text is None or laid_out != self._laid_out:
            option = page.document().defaultTextOption()
            self.text = DraftText(pieces, page.font(), option, width, margin, page.line_height, lead)
            self._laid_out = laid_out
            self.changed_rects = self.text.rects_of(changed)
            page.viewport().update()
        if self.settled and not self.replays and self.text.line_bottoms:
            self._tallest = max(self._tallest, self.text.line_bottoms[-1])
        self.resize_gap()

    def resize_gap(self) -> None:
        mode, block, height = self._placement.mode, self._placement.cursor.block(), self._shown_height()
        # What opens the text is scrolled away as a whole: it has to fit into the view.
        fits = (
            block.blockNumber() > 0
            or height + BAR_SPACE_PX < self._page.viewport().height() - 2 * self._page.line_height
        )
        former, self.gap.is_above = self.gap.height, mode is JoinMode.BEFORE and fits
        if mode is JoinMode.INLINE:
            height -= min(height, self._page.gaps.last_line(block).height())
        else:
            height += self._offset()
        height = max(height + BAR_SPACE_PX, self._least_gap)
        changed = height != former
        self._page.gaps.resize_gap(self.gap, height, continues_line=mode is JoinMode.INLINE)
        if changed:
            self._page.viewport().update()
            self._page.tell_geometry()

    def hold(self, top_line: int) -> None:
        """Keep that line the first in view, with a higher gap where the page would slide."""
        scroll = self._page.verticalScrollBar()
        while slid := top_line - scroll.value():
            self._least_gap = self.gap.height + slid * self._page.line_height
            self.resize_gap()
            scroll.setValue(top_line)

    def grow(self, sure: Iterable[int]) -> None:
        """By whole lines to hold these pieces; it never shrinks while developing."""
        if self.text is None:
            return
        bottom = max((self.text.bottom_of(index) for index in sure), default=0.0)
        lines = sum(line <= bottom for line in self.text.line_bottoms)
        if lines > self.lines:
            self.lines = lines
            self.resize_gap()

    def restart(self) -> None:
        """The gap stays as high as it is."""
        self.settled = self.replays = False
        self.lines = max(self.line_count, int(self._tallest / self._page.line_height))
