"""The Replay: which step of a trace is shown, and playing it."""

from __future__ import annotations

from itertools import accumulate, pairwise

from PySide6.QtCore import QObject, Signal

from app.drafting.draft_words import DraftWords
from app.editor.draft_overlay import FRAME_INTERVAL_MS
from app.history.replay.trace import Trace
from app.widgets.timers import timer
from engine.protocol.requests import Span


class Replay(QObject):
    """Of a trace that has steps. It begins at the last one, where the draft is settled."""

    changed = Signal()
    """Another step is shown, or playing has begun or ended."""

    def __init__(self, trace: Trace, parent: QObject, *, may_play: bool) -> None:
        """may_play: unless motion is reduced; steps are gone through one by one then."""
        super().__init__(parent)
        self.trace = trace
        self.may_play = may_play
        self.index = self.last
        self._timer = timer(self, self._on_tick, FRAME_INTERVAL_MS)

    @property
    def last(self) -> int:
        return len(self.trace.steps) - 1

    @property
    def plays(self) -> bool:
        return self._timer.isActive()

    @property
    def corrected_words(self) -> int:
        """So many words have been corrected by now: of the whole draft, at the end."""
        trace, texts = self.trace, [token.text for token in self.trace.shown_at(self.index)]
        spans = [Span(*ends) for ends in pairwise(accumulate(map(len, texts), initial=0))]
        corrected = list(trace.corrected)
        if not trace.is_settled_at(self.index):
            corrected = [span for span in corrected if span.end <= spans[0].end]  # of the canvases before
            corrected += [spans[at] for at in trace.corrected_at(self.index)]
        return len(DraftWords("".join(texts)).of(corrected))

    def go_to(self, index: int) -> None:
        index = min(max(index, 0), self.last)
        if index != self.index:
            self.index = index
            self.changed.emit()

    def step(self, by: int) -> None:
        self.pause()
        self.go_to(self.index + by)

    def turn(self) -> None:
        """Play on, from the beginning if it is at the end; or pause."""
        if self.plays:
            self.pause()
        elif self.may_play and self.last > 0:
            if self.index == self.last:
                self.go_to(0)
            self._timer.start()
            self.changed.emit()

    def pause(self) -> None:
        if self.plays:
            self._timer.stop()
            self.changed.emit()

    def _on_tick(self) -> None:
        if self.index + 1 >= self.last:
            self._timer.stop()
        self.go_to(self.index + 1)
