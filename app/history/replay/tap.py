"""The FrameTap: takes down how drafts develop, every frame of it, before the app conflates them."""

from __future__ import annotations

import threading

import msgspec

from app.drafting.variant import DraftId, Variant
from app.history.replay.recording import Recording
from app.history.replay.trace import Trace
from app.worker.engine_thread import EngineThread
from engine.protocol.events import Committed, Event, Finished, Frame, Ready

MOST_BYTES = 16_000_000
"""Of the traces that are kept in memory: those of some hundred drafts. The oldest go first."""


class FrameTap:
    """Events come in the worker's thread; traces are asked for in the GUI's."""

    def __init__(self, worker: EngineThread) -> None:
        self._lock = threading.Lock()
        self._ready: Ready | None = None
        self._open: dict[DraftId, Recording] = {}
        self._traces: dict[DraftId, Trace] = {}
        self._size_bytes = 0
        worker.taps.append(self._take)

    def of(self, variant: Variant) -> Trace | None:
        """How a settled draft developed; of one that was stopped, up to what is shown. None if that was not
        taken down, or long ago.
        """
        if variant.is_rest:
            return None
        with self._lock:
            found = self._traces.get(variant.made_as)
            if found is None and variant.made_as in self._open:
                found = self._open[variant.made_as].trace()
        if found is None:
            return None
        found = found.until(*variant.stopped_at) if variant.stopped_at else found
        return msgspec.structs.replace(found, extent=variant.extent)

    def _take(self, event: Event) -> None:
        match event:
            case Ready():
                self._ready = event
            case Frame() | Committed() | Finished():
                draft = DraftId(event.request_id, event.place, event.variant)
                with self._lock:
                    for other in [each for each in self._open if each.request_id != event.request_id]:
                        self._keep(other)  # requests come one after the other: it was given up
                    if draft not in self._open:
                        self._open[draft] = Recording(self._ready)
                    self._open[draft].take(event)
                    if isinstance(event, Finished):
                        self._keep(draft)
            case _:
                pass

    def _keep(self, draft: DraftId) -> None:
        trace = self._traces[draft] = self._open.pop(draft).trace()
        self._size_bytes += trace.size_bytes
        while self._size_bytes > MOST_BYTES:
            self._size_bytes -= self._traces.pop(next(iter(self._traces))).size_bytes
