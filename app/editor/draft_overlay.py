"""The draft painted beside the document, which it never touches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from time import monotonic
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPointF, QRectF
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QTextCursor

from app.documents.text import characters, utf16_length
from app.editor.draft_layout import DraftText, ink, legible, mix
from app.editor.fade import FADE_S, Fade
from app.editor.gap_layout import space_after
from app.editor.join import JoinMode, is_right_to_left
from app.editor.marks import (
    paint_corrected,
    paint_difference,
    paint_insertion_mark,
    paint_passage,
    paint_pinned,
    paint_placeholder,
    paint_selected,
    paint_unkept,
)
from app.editor.placement import Placement
from app.widgets.timers import timer
from engine.protocol.events import Token
from engine.protocol.requests import Span

if TYPE_CHECKING:
    from app.documents.differences import Pair
    from app.editor.page import Page

FRAME_INTERVAL_MS = 170
"""At most six whole frames a second (WCAG 2.3.1)."""
FADE_TICK_MS = 33
CERTAIN_NATS = 0.5
"""A token surer than this makes the gap grow when it lies below it."""
PALE_INK = 0.45
"""The least ink of an unfinished draft's words."""
BAR_SPACE_PX = 58
"""Room for the draft's bar under its last line."""
BAR_HEIGHT_PX = 48


class DraftOverlay(QObject):
    """Shows one draft at its place, in a gap of the page's layout.

    show … → settle → close; restart begins another draft in the same place.
    """

    def __init__(
        self, page: Page, placement: Placement, reserved_lines: int, *, reduced_motion: bool
    ) -> None:
        """reserved_lines: what such a draft usually takes."""
        super().__init__(page)
        self._page = page
        self._placement = placement
        self._lines = reserved_lines
        self._reduced_motion = False
        self._settled = False
        self._text: DraftText | None = None
        self._laid_out: tuple[object, ...] = ()
        """What the layout was made from."""
        self._changed: frozenset[int] = frozenset()
        """Pieces that the passage has not."""
        self._changed_rects: list[QRectF] = []
        """Where they stand, px below the draft's top."""
        self._dropped: list[tuple[int, int]] = []
        """Parts of the passage that the draft has not, in UTF-16 units of it."""
        self._selected: Span | None = None
        self._pinned: Sequence[Span] = ()
        self._corrected: Sequence[Span] = ()
        self._tallest = 0.0
        """Height of the tallest settled draft in this column, px."""
        self._least_gap = 0.0
        """px. At the text's end a lower gap would let the page slide down."""
        self._fade = Fade()
        self._pending: Sequence[Token] | None = None
        self._frame_timer = timer(self, self._on_frame_due, FRAME_INTERVAL_MS, single_shot=True)
        self._fade_timer = timer(self, self._on_fade_tick, FADE_TICK_MS)
        self._gap = page.gaps.open_gap(placement.cursor)
        page.add_overlay(self)
        self.set_reduced_motion(reduced_motion)
        self.relayout()

    def set_reduced_motion(self, reduced: bool) -> None:
        """Still lines until the draft has settled, and no fade."""
        self._reduced_motion = reduced
        self._fade.duration_s = 0.0 if reduced else FADE_S
        self._page.viewport().update()

    # ---------------------------------------------------------------- life of a draft

    def show(self, tokens: Sequence[Token]) -> None:
        """Show the newest frame, six times a second at the most."""
        if self._settled or self._reduced_motion:
            return
        self._pending = tokens
        if not self._frame_timer.isActive():
            self._on_frame_due()

    def settle(self, text: str, tokens: Sequence[Token] = ()) -> None:
        """The draft as it will be kept; its gap takes the height of the tallest one of this place, so that
        what stands below holds still. tokens: of an unfinished one, whose uncertain words stay pale.
        """
        self._pending = None
        self._frame_timer.stop()
        self._settled = True
        self._changed, self._dropped = frozenset(), []
        scroll = self._page.verticalScrollBar()
        top_line = scroll.value()
        if self._placement.passage and not tokens:
            self._settle_beside_passage(text)
        else:
            self._settle_alone(text, tokens)
        while slid := top_line - scroll.value():
            self._least_gap = self._gap.height + slid * self._page.line_height
            self._resize_gap()
            scroll.setValue(top_line)

    def _settle_alone(self, text: str, tokens: Sequence[Token]) -> None:
        pieces = self._placement.shown_pieces([token.text for token in tokens])
        inks = [max(PALE_INK, ink(token, 0)) for token in tokens]
        if not text.startswith(whole := "".join(pieces)) or not whole:
            pieces, inks, whole = [], [], ""
        self._fade.settle([*pieces, text[len(whole) :]], [*inks, 1.0], monotonic())
        self._after_change()

    def _settle_beside_passage(self, text: str) -> None:
        """With the words that differ marked on both sides."""
        from app.documents.differences import differences  # the first paint does not need it

        pairs = _by_phrases(differences(self._placement.passage, text))
        pieces = [new for _, new in pairs]
        self._changed = frozenset(n for n, (old, new) in enumerate(pairs) if old != new)
        ends = list(accumulate((utf16_length(old) for old, _ in pairs), initial=0))
        self._dropped = [span for n, span in enumerate(pairwise(ends)) if n in self._changed]
        self._fade.settle(pieces, [1.0] * len(pieces), monotonic())
        self._after_change()

    def mark(self, selected: Span | None, pinned: Sequence[Span], corrected: Sequence[Span]) -> None:
        """What is marked in a settled draft, in characters of its text."""
        self._selected, self._pinned, self._corrected = selected, pinned, corrected
        self._page.viewport().update(self._rect().toAlignedRect())

    def restart(self) -> None:
        """The same place, a new draft: the gap stays as high as it is."""
        self._settled = False
        self._changed, self._dropped = frozenset(), []
        self._lines = max(self.line_count, int(self._tallest / self._page.line_height))
        self._fade.show([], [], monotonic())
        self._after_change()

    def close(self) -> None:
        self._pending = None
        self._frame_timer.stop()
        self._fade_timer.stop()
        self._page.gaps.close_gap(self._gap)
        self._page.remove_overlay(self)
        self.deleteLater()

    # ---------------------------------------------------------------- where it is

    def holds(self, place: QPointF) -> bool:
        """Whether a place in the viewport is in the lines of the draft."""
        lines = self._line_rects()
        return self._text is not None and any(rect.contains(place) for rect in lines)

    def character_at(self, place: QPointF) -> int:
        """The one of the draft's text that is nearest to the place."""
        assert self._text is not None
        return characters("".join(self._fade.pieces), self._text.unit_at(place - self._rect().topLeft()))

    def rects_of(self, part: Span) -> list[QRectF]:
        """Of that part of the draft's text, line by line; viewport px."""
        assert self._text is not None
        text, origin = "".join(self._fade.pieces), self._rect().topLeft()
        start, end = (utf16_length(text[:at]) for at in (part.start, part.end))
        return [rect.translated(origin) for rect in self._text.rects_between(start, end)]

    def _line_rects(self) -> tuple[QRectF, QRectF]:
        """The draft's first line, which need not begin at the column's edge, and all of the others."""
        shown = self._rect()
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
        return len(self._text.line_bottoms) if self._text is not None else 0

    @property
    def bar_top(self) -> float:
        """Where the bar goes: viewport px of its upper edge."""
        return self._origin_y() + self._shown_height() + 10

    def is_in_view(self) -> bool:
        return self._rect().intersects(QRectF(self._page.viewport().rect()))

    def scroll_into_view(self) -> None:
        """Scroll as little as will do, so that the draft and its bar can be seen; the anchor's line stays."""
        page, scroll, cursor = self._page, self._page.verticalScrollBar(), QTextCursor(self._placement.cursor)
        if self._gap.block != cursor.block():
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
        if self._gap.opens_text:
            return 0.0
        blank_lines = len(self._placement.separator) - (not self._gap.is_above)
        space = space_after(self._gap.block.text(), self._page.line_height)
        return space + max(0, blank_lines) * self._page.line_height

    def _origin_y(self) -> float:
        """Viewport y of the top of the laid-out text."""
        block = self._gap.block
        top = self._page.block_top(block)
        if self._placement.mode is JoinMode.INLINE:
            return top + self._page.gaps.last_line(block).y()
        return top + self._page.gaps.gap_top(self._gap) + self._offset()

    def _shown_height(self) -> float:
        """Height of the lines that are shown or reserved; never less than of the tallest draft here."""
        bottoms = self._text.line_bottoms if self._text is not None else []
        if self._settled or not self._lines:
            return self._tallest
        more = max(0, self._lines - len(bottoms))
        shown = bottoms[self._lines - more - 1] if bottoms else 0.0
        return max(self._tallest, shown + more * self._page.line_height)

    def _rect(self) -> QRectF:
        return QRectF(0, self._origin_y(), self._page.viewport().width(), self._shown_height())

    # ---------------------------------------------------------------- layout

    def relayout(self) -> None:
        """Lay the draft out again if its width, its font or the line that it continues has changed."""
        page, lead = self._page, self._placement.indent
        if self._placement.mode is JoinMode.INLINE:
            lead = self._placement.lead(page.gaps.last_line(self._placement.cursor.block()))
        margin = page.document().documentMargin()
        width = page.viewport().width() - 2 * margin
        laid_out = ((self._fade.pieces, self._changed), page.font(), width, margin, page.line_height, lead)
        if laid_out[1:] != self._laid_out[1:]:
            self._tallest = self._least_gap = 0.0
        if self._text is None or laid_out != self._laid_out:
            option = page.document().defaultTextOption()
            self._text = DraftText(
                self._fade.pieces, page.font(), option, width, margin, page.line_height, lead
            )
            self._laid_out = laid_out
            self._changed_rects = self._text.rects_of(self._changed)
            page.viewport().update()
        if self._settled and self._text.line_bottoms:
            self._tallest = max(self._tallest, self._text.line_bottoms[-1])
        self._resize_gap()

    def _resize_gap(self) -> None:
        mode, block, height = self._placement.mode, self._placement.cursor.block(), self._shown_height()
        # What opens the text is scrolled away as a whole: it has to fit into the view.
        fits = (
            block.blockNumber() > 0
            or height + BAR_SPACE_PX < self._page.viewport().height() - 2 * self._page.line_height
        )
        former, self._gap.is_above = self._gap.height, mode is JoinMode.BEFORE and fits
        if mode is JoinMode.INLINE:
            height -= min(height, self._page.gaps.last_line(block).height())
        else:
            height += self._offset()
        height = max(height + BAR_SPACE_PX, self._least_gap)
        changed = height != former
        self._page.gaps.resize_gap(self._gap, height, continues_line=mode is JoinMode.INLINE)
        if changed:
            self._page.viewport().update()
            self._page.tell_geometry()

    # ---------------------------------------------------------------- frames and fades

    def _on_frame_due(self) -> None:
        if self._pending is None:
            return
        self._frame_timer.start()
        if not self.is_in_view():  # nobody sees it: the newest frame waits
            return
        tokens, self._pending = self._pending, None
        metrics = QFontMetricsF(self._page.font())
        sure = next((n for n, token in enumerate(tokens) if not _is_sure(token)), len(tokens))
        pieces = self._placement.shown_pieces([legible(token, metrics) for token in tokens], sure)
        self._fade.show(pieces, [ink(token, position) for position, token in enumerate(tokens)], monotonic())
        self._after_change()
        # What is sure behind a sentence that is not sure yet will not stay.
        self._grow(tokens[:sure] if self._placement.extent == "sentence" else tokens)

    def _after_change(self) -> None:
        self._fade_timer.start()
        self._page.viewport().update(self._rect().toAlignedRect())
        self.relayout()

    def _grow(self, tokens: Sequence[Token]) -> None:
        """The gap grows by whole lines to hold what is certain, and never shrinks while developing."""
        if self._text is None:
            return
        pieces = self._fade.pieces
        sure = [i for i, token in enumerate(tokens) if _is_sure(token) and pieces[i].strip()]
        bottom = max((self._text.bottom_of(index) for index in sure), default=0.0)
        lines = sum(line <= bottom for line in self._text.line_bottoms)
        if lines > self._lines:
            self._lines = lines
            self._resize_gap()

    def _on_fade_tick(self) -> None:
        if self._fade.is_over(monotonic()):
            self._fade_timer.stop()
        self._page.viewport().update(self._rect().toAlignedRect())

    # ---------------------------------------------------------------- painting

    def paint(self, painter: QPainter, clip: QRectF) -> None:
        theme, mode = self._page.theme, self._placement.mode
        start, end = self._placement.bounds
        passage = self._page.text_rects((start, end))
        if any(line.intersects(clip) for line in passage):
            paint_passage(painter, passage, QColor(theme.accent))
            dropped = [(start + first, start + last) for first, last in self._dropped]
            paint_difference(painter, self._page.text_rects(*dropped), QColor(theme.accent))
        stands_below = mode is JoinMode.WITHIN or (mode is JoinMode.BEFORE and not self._gap.is_above)
        if stands_below and start == end:
            caret = QRectF(self._page.cursorRect(self._placement.cursor))
            paint_insertion_mark(painter, caret, QColor(theme.accent))
        shown = self._rect()
        if not shown.intersects(clip) or self._text is None:
            return
        ink_colour, paper = QColor(theme.ink), QColor(theme.paper)
        caret = QRectF(self._page.cursorRect(self._placement.cursor))
        from_right = is_right_to_left(self._placement.cursor.block().text())
        paint_unkept(painter, *self._line_rects(), QColor(theme.accent))
        if self._reduced_motion and not self._settled:
            margin = self._page.document().documentMargin()
            column = shown.adjusted(margin, 0, -margin, 0)
            lead = column.right() - caret.left() if from_right else caret.right() - column.left()
            lead_width = lead + 6.0 if mode is JoinMode.INLINE else 0.0
            colour, font = mix(paper, ink_colour, 0.1), self._page.font()
            paint_placeholder(painter, column, self._lines, font, lead_width, colour, from_right=from_right)
            return
        rects = [rect.translated(shown.topLeft()) for rect in self._changed_rects]
        paint_difference(painter, rects, QColor(theme.accent))
        for part in self._corrected:
            paint_corrected(painter, self.rects_of(part), QColor(theme.accent))
        for part in self._pinned:
            paint_pinned(painter, self.rects_of(part), QColor(theme.accent))
        if self._selected:
            paint_selected(painter, self.rects_of(self._selected), QColor(theme.accent))
        inks = self._fade.inks(monotonic())
        self._text.paint(painter, shown.topLeft(), inks, ink_colour, paper, shown.intersected(clip))


def _is_sure(token: Token) -> bool:
    return token.entropy < CERTAIN_NATS


def _by_phrases(pairs: Sequence[Pair]) -> list[Pair]:
    """Words that differ next to each other are one difference."""
    phrases: list[Pair] = []
    for number, (old, new) in enumerate(pairs):
        is_between = old == new and not old.strip() and 0 < number < len(pairs) - 1
        if phrases and (is_between or (old != new and phrases[-1][0] != phrases[-1][1])):
            phrases[-1] = (phrases[-1][0] + old, phrases[-1][1] + new)
        else:
            phrases.append((old, new))
    return phrases
