"""The draft painted beside the document, which it never touches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from time import monotonic
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QRectF
from PySide6.QtGui import QColor, QFontMetricsF, QPainter

from app.documents.text import utf16_length
from app.editor.draft_geometry import DraftGeometry
from app.editor.draft_layout import FADE_OUT, ink, is_sure, legible, mix, sure_beginning
from app.editor.fade import FADE_S, Fade
from app.editor.join import JoinMode, is_right_to_left
from app.editor.marks import (
    paint_corrected,
    paint_difference,
    paint_fact,
    paint_glitch,
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
    from app.editor.page import Page

FRAME_INTERVAL_MS = 170
"""At most six whole frames a second (WCAG 2.3.1)."""
FADE_TICK_MS = 33
PALE_INK = 0.45
"""The least ink of an unfinished draft's words."""


class DraftOverlay(QObject):
    """Shows one draft at its place, in a gap of the page's layout.

    show … → settle → close; restart begins another draft in the same place. replay … → settle: how the
    settled draft developed.
    """

    def __init__(
        self, page: Page, placement: Placement, reserved_lines: int, *, reduced_motion: bool
    ) -> None:
        """reserved_lines: what such a draft usually takes."""
        super().__init__(page)
        self._page = page
        self._placement = placement
        self._reduced_motion = False
        self._changed: frozenset[int] = frozenset()
        """Pieces that the passage has not; in a replay, those that had been accepted as something else."""
        self._dropped: list[tuple[int, int]] = []
        """Parts of the passage that the draft has not, in UTF-16 units of it."""
        self._selected: Span | None = None
        self._pinned: Sequence[Span] = ()
        self._corrected: Sequence[Span] = ()
        self._glitches: Sequence[Span] = ()
        self._facts: Sequence[Span] = ()
        self._fade = Fade()
        self._pending: Sequence[Token] | None = None
        self._pending_marks, self._most_loss = frozenset[int](), FADE_OUT
        self._frame_timer = timer(self, self._on_frame_due, FRAME_INTERVAL_MS, single_shot=True)
        self._fade_timer = timer(self, self._on_fade_tick, FADE_TICK_MS)
        self.geometry = DraftGeometry(page, placement, reserved_lines)
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
        if not (self.geometry.settled or self._reduced_motion):
            self._show_when_due(tokens, frozenset(), FADE_OUT)

    def replay(self, tokens: Sequence[Token], corrected: frozenset[int], *, next_one: bool) -> None:
        """Show a step of the settled draft as it was shown then, in the lines that it takes now; settle
        leads back. corrected: tokens that are marked; next_one: it follows the one that is shown.
        """
        if not self.geometry.replays:
            self.geometry.replays, self._dropped = True, []
        self._show_when_due(tokens, corrected, FADE_OUT if next_one else 1.0)

    def _show_when_due(self, tokens: Sequence[Token], marks: frozenset[int], most_loss: float) -> None:
        self._pending, self._pending_marks, self._most_loss = tokens, marks, most_loss
        if not self._frame_timer.isActive():
            self._on_frame_due()

    def settle(self, text: str, tokens: Sequence[Token] = ()) -> None:
        """The draft as it will be kept; its gap takes the height of the tallest one of this place, so that
        what stands below holds still. tokens: of an unfinished one, whose uncertain words stay pale.
        """
        self._pending = None
        self._frame_timer.stop()
        self.geometry.settled, self.geometry.replays = True, False
        self._changed, self._dropped = frozenset(), []
        top_line = self._page.verticalScrollBar().value()
        if self._placement.passage and not tokens:
            self._settle_beside_passage(text)
        else:
            self._settle_alone(text, tokens)
        self.geometry.hold(top_line)

    def _settle_alone(self, text: str, tokens: Sequence[Token]) -> None:
        pieces = self._placement.shown_pieces([token.text for token in tokens])
        inks = [max(PALE_INK, ink(token, 0)) for token in tokens]
        if not text.startswith(whole := "".join(pieces)) or not whole:
            pieces, inks, whole = [], [], ""
        self._fade.settle([*pieces, text[len(whole) :]], [*inks, 1.0], monotonic())
        self._after_change()

    def _settle_beside_passage(self, text: str) -> None:
        """With the words that differ marked on both sides."""
        from app.documents.differences import by_phrases, differences  # the first paint does not need it

        pairs = by_phrases(differences(self._placement.passage, text))
        pieces = [new for _, new in pairs]
        self._changed = frozenset(n for n, (old, new) in enumerate(pairs) if old != new)
        ends = list(accumulate((utf16_length(old) for old, _ in pairs), initial=0))
        self._dropped = [span for n, span in enumerate(pairwise(ends)) if n in self._changed]
        self._fade.settle(pieces, [1.0] * len(pieces), monotonic())
        self._after_change()

    def mark(self, selected: Span | None, pinned: Sequence[Span], corrected: Sequence[Span]) -> None:
        """What is marked in a settled draft, in characters of its text."""
        self._selected, self._pinned, self._corrected = selected, pinned, corrected
        self._page.viewport().update(self.geometry.rect().toAlignedRect())

    def mark_findings(self, glitches: Sequence[Span], facts: Sequence[Span]) -> None:
        """What the writer should look at in a settled draft, in characters of its text."""
        self._glitches, self._facts = glitches, facts
        self._page.viewport().update(self.geometry.rect().toAlignedRect())

    def restart(self) -> None:
        """The same place, a new draft."""
        self._changed, self._dropped = frozenset(), []
        self.geometry.restart()
        self._fade.show([], [], monotonic())
        self._after_change()

    def close(self) -> None:
        self._pending = None
        self._frame_timer.stop()
        self._fade_timer.stop()
        self._page.gaps.close_gap(self.geometry.gap)
        self._page.remove_overlay(self)
        self.deleteLater()

    # ---------------------------------------------------------------- frames and fades

    @property
    def pieces(self) -> Sequence[str]:
        """What is shown, token by token."""
        return self._fade.pieces

    def _on_frame_due(self) -> None:
        if self._pending is None:
            return
        self._frame_timer.start()
        if not self.geometry.is_in_view():  # nobody sees it: the newest frame waits
            return
        tokens, self._pending, self._changed = self._pending, None, self._pending_marks
        metrics = QFontMetricsF(self._page.font())
        sure = sure_beginning(tokens)
        pieces = self._placement.shown_pieces([legible(token, metrics) for token in tokens], sure)
        inks = [ink(token, position) for position, token in enumerate(tokens)]
        self._fade.show(pieces, inks, monotonic(), self._most_loss)
        self._after_change()
        if self.geometry.replays:
            return
        # What is sure behind a sentence that is not sure yet will not stay.
        kept = tokens[:sure] if self._placement.extent == "sentence" else tokens
        self.geometry.grow(i for i, token in enumerate(kept) if is_sure(token) and pieces[i].strip())

    def _after_change(self) -> None:
        self._fade_timer.start()
        self._page.viewport().update(self.geometry.rect().toAlignedRect())
        self.relayout()

    def relayout(self) -> None:
        self.geometry.lay_out(self.pieces, self._changed)

    def _on_fade_tick(self) -> None:
        if self._fade.is_over(monotonic()):
            self._fade_timer.stop()
        self._page.viewport().update(self.geometry.rect().toAlignedRect())

    # ---------------------------------------------------------------- painting

    def paint(self, painter: QPainter, clip: QRectF) -> None:
        theme, mode, geometry = self._page.theme, self._placement.mode, self.geometry
        start, end = self._placement.bounds
        passage = self._page.text_rects((start, end))
        if any(line.intersects(clip) for line in passage):
            paint_passage(painter, passage, QColor(theme.accent))
            dropped = [(start + first, start + last) for first, last in self._dropped]
            paint_difference(painter, self._page.text_rects(*dropped), QColor(theme.accent))
        stands_below = mode is JoinMode.WITHIN or (mode is JoinMode.BEFORE and not geometry.gap.is_above)
        if stands_below and start == end:
            caret = QRectF(self._page.cursorRect(self._placement.cursor))
            paint_insertion_mark(painter, caret, QColor(theme.accent))
        shown = geometry.rect()
        if not shown.intersects(clip) or geometry.text is None:
            return
        ink_colour, paper = QColor(theme.ink), QColor(theme.paper)
        caret = QRectF(self._page.cursorRect(self._placement.cursor))
        from_right = is_right_to_left(self._placement.cursor.block().text())
        paint_unkept(painter, *geometry.line_rects(), QColor(theme.accent))
        if self._reduced_motion and not geometry.settled:
            margin = self._page.document().documentMargin()
            column = shown.adjusted(margin, 0, -margin, 0)
            lead = column.right() - caret.left() if from_right else caret.right() - column.left()
            lead_width = lead + 6.0 if mode is JoinMode.INLINE else 0.0
            colour, font, lines = mix(paper, ink_colour, 0.1), self._page.font(), geometry.lines
            paint_placeholder(painter, column, lines, font, lead_width, colour, from_right=from_right)
            return
        self._paint_marks(painter, QColor(theme.accent))
        inks = self._fade.inks(monotonic())
        geometry.text.paint(painter, shown.topLeft(), inks, ink_colour, paper, shown.intersected(clip))

    def _paint_marks(self, painter: QPainter, accent: QColor) -> None:
        geometry = self.geometry
        rects = [rect.translated(geometry.rect().topLeft()) for rect in geometry.changed_rects]
        if geometry.replays:
            lowest = geometry.rect().bottom() + 1
            paint_corrected(painter, [rect for rect in rects if rect.bottom() <= lowest], accent)
            return
        paint_difference(painter, rects, QColor(accent))
        for part in self._corrected:
            paint_corrected(painter, geometry.rects_of(part), accent)
        for part in self._facts:
            paint_fact(painter, geometry.rects_of(part), QColor(accent))
        for part in self._glitches:
            paint_glitch(painter, geometry.rects_of(part), QColor(accent))
        for part in self._pinned:
            paint_pinned(painter, geometry.rects_of(part), QColor(accent))
        if self._selected:
            paint_selected(painter, geometry.rects_of(self._selected), QColor(accent))
