"""What the tests of the engine in a child process ask of it."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path

from engine.protocol.events import Event, Failed, Ready
from engine.protocol.requests import LoadRequest
from engine.runtime.process_engine import ProcessEngine
from tests.fakes import draft_request, prepare_request

ROOT = Path(__file__).parents[3]
LOAD = LoadRequest(request_id="load", model="fake")


def load(engine: ProcessEngine) -> int:
    """Returns the child's process id."""
    ready = list(engine.load(LOAD, threading.Event()))[-1]
    assert isinstance(ready, Ready)
    return int(ready.label)


def draft(engine: ProcessEngine, instruction: str = "", request_id: str = "1") -> list[Event]:
    request = draft_request(request_id, "", instruction=instruction)
    return list(engine.draft(request, threading.Event()))


def prepare(engine: ProcessEngine, instruction: str = "", before: str = "It rained. ") -> None:
    request = prepare_request(before, instruction)
    engine.prepare(request, threading.Event())


def failed(events: list[Event]) -> Failed:
    assert isinstance(events[-1], Failed)
    return events[-1]


def assert_ends(pidfd: int) -> None:
    """A pidfd becomes readable when its process ends."""
    readable, _, _ = select.select([pidfd], [], [], 10)
    os.close(pidfd)
    assert readable
