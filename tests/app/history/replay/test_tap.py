"""The tap takes every frame down that the engine tells, however few of them the window takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication

from app.drafting.variant import DraftId, Variant
from app.history.replay import tap as tap_module
from app.history.replay.tap import FrameTap
from app.worker.engine_thread import EngineThread
from engine.protocol.events import DraftEvent, Frame
from engine.protocol.requests import DraftRequest, LoadRequest
from tests.app.conftest import Run
from tests.fakes import TEXT, FakeEngine, draft_request

LOAD = LoadRequest(request_id="load", model="fake")


class Quick(FakeEngine):
    """Says when it has said all of a draft."""

    def __init__(self) -> None:
        super().__init__()
        self.said = threading.Event()

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        yield from super().draft(request, cancelled)
        self.said.set()


@pytest.fixture
def engine() -> Quick:
    return Quick()


@pytest.fixture
def worker(qapp: QApplication, engine: Quick) -> Iterator[EngineThread]:
    worker = EngineThread(lambda: engine)
    worker.start()
    yield worker
    assert worker.close()


def variant(request_id: str, number: int = 0, stopped_at: tuple[int, int] | None = None) -> Variant:
    return Variant("", 0, None, made_as=DraftId(request_id, 0, number), stopped_at=stopped_at)


def test_each_variant_has_all_its_steps(worker: EngineThread, engine: Quick, run: Run) -> None:
    async def scenario() -> None:
        tap = FrameTap(worker)
        async for _ in worker.load(LOAD):
            pass
        taken = 0
        async for event in worker.draft(draft_request("1", "A letter. ", variants=2)):
            taken += isinstance(event, Frame)
            assert engine.said.wait(10)  # a window so slow that it gets the last frames alone
        assert taken <= 3
        for number in range(2):
            trace = tap.of(variant("1", number))
            assert trace is not None
            assert [step.step for step in trace.steps] == [0, 1, 2, 3][number:]
            assert trace.text == TEXT
            assert trace.committed == (TEXT,)
            assert trace.ready is not None
            assert trace.ready.model == "fake"

    run(scenario())


def test_what_was_given_up_has_its_steps_up_to_what_is_shown(worker: EngineThread, run: Run) -> None:
    async def scenario() -> None:
        tap = FrameTap(worker)
        async for _ in worker.load(LOAD):
            pass
        async for event in worker.draft(draft_request("1", "A letter. ", instruction="endless")):
            if isinstance(event, Frame) and event.step >= 2:
                worker.cancel("1")
        stopped = variant("1", stopped_at=(0, 1))
        for _ in range(2):
            trace = tap.of(stopped)
            assert trace is not None
            assert [step.step for step in trace.steps] == [0, 1]
            assert trace.text is None
            async for _ in worker.draft(draft_request("2", "A letter. ")):  # the first one is put by
                pass

    run(scenario())


def test_what_was_not_taken_down_has_none(worker: EngineThread) -> None:
    tap = FrameTap(worker)
    assert tap.of(variant("1")) is None
    assert tap.of(Variant("", 0, None)) is None


def test_the_oldest_go_when_there_are_many(
    worker: EngineThread, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        tap = FrameTap(worker)
        async for _ in worker.load(LOAD):
            pass
        sizes = []
        for number in range(4):
            async for _ in worker.draft(draft_request(f"{number}", "A letter. ")):
                pass
            trace = tap.of(variant(f"{number}"))
            assert trace is not None
            sizes.append(trace.size_bytes)
            monkeypatch.setattr(tap_module, "MOST_BYTES", 2 * max(sizes))
        assert [tap.of(variant(f"{number}")) is not None for number in range(4)] == [False, False, True, True]

    run(scenario())
