"""Whether the steps of a load take much longer than they should."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from dataclasses import dataclass

from engine.checkpoints.stream_speed import link_limits
from engine.protocol.events import Frame, Ready

FEW = 5
"""Steps that a median is taken of."""
TOO_LONG = 2.0
"""Times what was planned."""

LEAST_S = 0.25
"""Steps below that keep nobody waiting, and a longer prompt alone may double them."""

_Kind = tuple[int, int]
"""Drafts that share the step, and tokens of one of them."""


@dataclass(frozen=True)
class Slowdown:
    """In seconds."""

    step_s: float
    planned_s: float


class StepPace:
    """Of one load. Steps are compared with what the link allows, or with the first ones of their kind."""

    def __init__(self) -> None:
        self._before: Frame | None = None
        self._first: defaultdict[_Kind, list[float]] = defaultdict(list)
        self._last: defaultdict[_Kind, deque[float]] = defaultdict(lambda: deque(maxlen=FEW))

    def note(self, frame: Frame, drafts: int, planned_s: float) -> Slowdown | None:
        """drafts: that share the step; planned_s: of one draft's, 0 where nobody knows. None: all is well."""
        if frame.place or frame.variant:
            return None
        before, self._before = self._before, frame
        if before is None or not _follows(before, frame):
            return None
        kind = drafts, len(frame.tokens)
        first, last = self._first[kind], self._last[kind]
        last.append((frame.elapsed_s - before.elapsed_s) / (frame.step - before.step))
        if len(first) < FEW:
            first.append(last[-1])
        expected = planned_s * drafts or statistics.median(first)
        step_s = statistics.median(last)
        slow = len(last) == FEW and step_s > max(TOO_LONG * expected, LEAST_S)
        return Slowdown(step_s, expected) if slow else None


def _follows(before: Frame, frame: Frame) -> bool:
    """In the same canvas. A canvas's first step has more to do than others."""
    same = (before.request_id, before.canvas) == (frame.request_id, frame.canvas)
    return same and 0 < before.step < frame.step


def fills_card(ready: Ready) -> bool:
    """Whether a model takes so much of a card that the driver may have to make room."""
    return bool(ready.device.uuid) and ready.memory_bytes > ready.device.total_bytes // 2


def planned_step_s(ready: Ready, link_bytes_per_s: int) -> float:
    """By the link. 0: nobody knows."""
    if not (link_bytes_per_s and link_limits(ready.streamed_bytes, ready.memory_bytes)):
        return 0.0
    return ready.streamed_bytes / link_bytes_per_s
