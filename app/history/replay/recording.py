"""A Recording: a draft's trace while it is being taken down."""

from __future__ import annotations

from app.history.replay.step import Step
from app.history.replay.trace import MOST_STEPS, Trace
from engine.protocol.events import Committed, Finished, Frame, Ready


class Recording:
    """Takes a draft's events, and gives the trace of them so far."""

    def __init__(self, ready: Ready | None) -> None:
        self._ready = ready
        self._texts: dict[str, int] = {}
        self._steps: list[Step] = []
        self._committed: list[str] = []
        self._max_steps = 0
        self._finished: Finished | None = None

    def take(self, event: Frame | Committed | Finished) -> None:
        match event:
            case Frame():
                if len(self._steps) == MOST_STEPS:
                    del self._steps[1::2]
                self._max_steps = event.max_steps
                self._steps.append(Step.of(event, self._texts))
            case Committed():
                self._committed.append(event.text)
            case Finished():
                self._finished = event

    def trace(self) -> Trace:
        finished = self._finished
        return Trace(
            texts=tuple(self._texts),
            steps=tuple(self._steps),
            max_steps=self._max_steps,
            committed=tuple(self._committed),
            text=finished.text if finished else None,
            corrected=finished.corrected if finished else (),
            stats=finished.stats if finished else None,
            ready=self._ready,
        )
