"""Engines in a thread, in a process and replayed, and requests to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from app.worker.engine_thread import EngineThread
from engine.protocol.engine import Engine
from engine.protocol.events import Event
from engine.protocol.requests import DraftRequest, LoadRequest, PrepareRequest
from engine.runtime.process_engine import ProcessEngine
from engine.runtime.replay_engine import ReplayEngine
from tests import fakes
from tests.fakes import draft_request, prepare_request

GOLDEN = Path(__file__).parents[2] / "golden" / "draft.jsonl"
LOAD = LoadRequest(request_id="load", model="fake")
ENGINES: dict[str, Callable[[], Engine]] = {
    "process": lambda: ProcessEngine(fakes.COMMAND),
    "thread": fakes.FakeEngine,
    "replay": lambda: ReplayEngine(GOLDEN, pace_s=0.001),
}
Start = Callable[..., EngineThread]


def draft(request_id: str, instruction: str = "", variants: int = 1) -> DraftRequest:
    return draft_request(request_id, "A letter. ", instruction=instruction, variants=variants)


def prepare(instruction: str = "", before: str = "A letter. ") -> PrepareRequest:
    return prepare_request(before, instruction)


@pytest.fixture
def start(qapp: QApplication) -> Iterator[Start]:
    workers: list[EngineThread] = []

    def start_worker(
        open_engine: Callable[[], Engine], hang_s: float = 30.0, first_hang_s: float = 120.0
    ) -> EngineThread:
        worker = EngineThread(open_engine, hang_s=hang_s, first_hang_s=first_hang_s)
        worker.start()
        workers.append(worker)
        return worker

    yield start_worker
    assert all(worker.close() for worker in workers)


async def collect(events: AsyncGenerator[Event, None]) -> list[Event]:
    return [event async for event in events]


async def until(events: AsyncGenerator[Event, None], kind: type[Event]) -> Event:
    async for event in events:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__}")
