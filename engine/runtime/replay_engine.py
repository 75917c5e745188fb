"""ReplayEngine: replays a recorded trace, for work on the app and tests without weights.

A trace is what `python -m engine draft --events` prints: one event per line, a load and a draft.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.protocol.capabilities import EngineCapabilities
from engine.protocol.codec import decode_event
from engine.protocol.events import (
    Cancelled,
    DraftEvent,
    Event,
    LinkEvent,
    LinkMeasured,
    LoadEvent,
    Loading,
    Prefilled,
    Ready,
)
from engine.protocol.requests import DraftRequest, LinkRequest, LoadRequest, PrepareRequest, PromptRequest

E = TypeVar("E", bound=Event)
CAPABILITIES = EngineCapabilities(frames=True)


class ReplayEngine:
    """Every load and every draft is the trace's, whatever was asked. pace_s: the pause before each event."""

    def __init__(self, path: Path, pace_s: float = 0.0) -> None:
        events = [decode_event(line) for line in path.read_bytes().splitlines()]
        self._load: list[LoadEvent] = [
            msgspec.structs.replace(event, capabilities=CAPABILITIES) if isinstance(event, Ready) else event
            for event in events
            if isinstance(event, Loading | Ready)
        ]
        others = (event for event in events if not isinstance(event, Loading | Ready))
        self._draft: list[DraftEvent] = [event for event in others if not isinstance(event, LinkMeasured)]
        self._pace_s = pace_s

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        return self._replay(self._load, request.request_id, cancelled)

    def prepare(self, request: PrepareRequest, cancelled: threading.Event) -> None: ...

    def prompt(self, request: PromptRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        told = [event for event in self._draft if isinstance(event, Prefilled)][:1]
        return self._replay(told, request.request_id, cancelled)

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        return self._replay(self._draft, request.request_id, cancelled)

    def measure_link(self, request: LinkRequest, cancelled: threading.Event) -> Iterator[LinkEvent]:  # noqa: ARG002
        yield Cancelled(request_id=request.request_id)

    def _replay(
        self, events: list[E], request_id: str, cancelled: threading.Event
    ) -> Iterator[E | Cancelled]:
        for event in events:
            if cancelled.wait(self._pace_s):
                yield Cancelled(request_id=request_id)
                return
            yield msgspec.structs.replace(event, request_id=request_id)

    def unload(self) -> None: ...

    def close(self) -> None: ...
