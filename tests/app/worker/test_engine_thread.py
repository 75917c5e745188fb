"""The drafting path through the real thread: engine in a child process, engine in the thread, trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.worker.engine_thread import EngineThread
from engine.protocol.engine import Engine
from engine.protocol.events import (
    Cancelled,
    Committed,
    DraftEvent,
    Event,
    Failed,
    Finished,
    Frame,
    Prefilled,
    Ready,
)
from engine.protocol.requests import DraftRequest, LoadRequest, PrepareRequest, Request
from engine.runtime import child_process
from engine.runtime.process_engine import ProcessEngine
from engine.runtime.replay_engine import ReplayEngine
from tests import fakes
from tests.fakes import draft_request, prepare_request

if TYPE_CHECKING:
    from tests.app.conftest import Emitted, Run

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


@pytest.mark.parametrize("engine", ENGINES)
def test_load_and_draft(engine: str, start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(ENGINES[engine])
        loaded = await collect(worker.load(LOAD))
        assert isinstance(loaded[-1], Ready)
        drafted = await collect(worker.draft(draft("1")))
        assert {event.request_id for event in drafted} == {"1"}
        assert isinstance(drafted[0], Prefilled)
        assert [type(event) for event in drafted[-2:]] == [Committed, Finished]
        steps = [event.step for event in drafted if isinstance(event, Frame)]
        assert steps == sorted(set(steps))

    run(scenario())


@pytest.mark.parametrize("engine", ENGINES)
def test_cancel_at_every_event(engine: str, start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(ENGINES[engine])
        await collect(worker.load(LOAD))
        for count in range(4):
            request = draft(f"cancelled {count}")
            events = worker.draft(request)
            seen = [await anext(events) for _ in range(count)]
            worker.cancel(request.request_id)
            assert await collect(events) == [Cancelled(request_id=request.request_id)]
            assert not any(isinstance(event, Finished) for event in seen)
        assert isinstance((await collect(worker.draft(draft("kept"))))[-1], Finished)

    run(scenario())


def test_cancel_does_not_wait_for_the_engine(start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(ENGINES["process"])
        await collect(worker.load(LOAD))
        events = worker.draft(draft("1", "hang"))
        await until(events, Frame)
        worker.cancel("1")
        assert await collect(events) == [Cancelled(request_id="1")]
        worker.restart()
        assert isinstance((await collect(worker.draft(draft("2"))))[-1], Finished)

    run(scenario())


def test_closing_the_iterator_or_its_task_cancels(start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(fakes.FakeEngine)
        await collect(worker.load(LOAD))
        async with contextlib.aclosing(worker.draft(draft("1", "endless"))) as events:
            await until(events, Frame)
        started = asyncio.Event()

        async def consume() -> None:
            async for _ in worker.draft(draft("2", "endless")):
                started.set()

        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance((await collect(worker.draft(draft("3"))))[-1], Finished)

    run(scenario())


def test_a_waiting_request_can_be_cancelled(start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(fakes.FakeEngine)
        await collect(worker.load(LOAD))
        first = worker.draft(draft("1", "endless"))
        await until(first, Frame)
        second = asyncio.create_task(collect(worker.draft(draft("2"))))
        third = asyncio.create_task(collect(worker.draft(draft("3"))))
        await until(first, Frame)
        worker.cancel("2")
        assert await second == [Cancelled(request_id="2")]
        worker.cancel("1")
        assert isinstance((await third)[-1], Finished)

    run(scenario())


class Gated(fakes.FakeEngine):
    """Says all it has to say, then opens the gate."""

    def __init__(self, events: Sequence[DraftEvent]) -> None:
        super().__init__()
        self.said = threading.Event()
        self._events = events

    def draft(self, *_: object, **__: object) -> Iterator[DraftEvent]:
        yield from self._events
        self.said.set()


def test_a_slow_consumer_gets_the_newest_frames_and_every_commit(start: Start, run: Run) -> None:
    commit = Committed(request_id="1", variant=0, canvas=0, text="x")
    said: list[DraftEvent] = [
        fakes.frame("1", 0),
        *(fakes.frame("1", step, variant) for step in range(1, 50) for variant in range(2)),
        commit,
        fakes.frame("1", 50, 1),
        fakes.frame("1", 50, 1, place=1),
        fakes.frame("1", 51, 1),
        fakes.finished("1", 0),
        Committed(request_id="0", variant=1, canvas=0, text="of an earlier request"),
        fakes.finished("1", 1),
    ]

    async def scenario() -> None:
        engine = Gated(said)
        events = start(lambda: engine).draft(draft("1", variants=2))
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        assert engine.said.wait(5)  # the loop stands still meanwhile
        assert [await first, *await collect(events)] == [
            fakes.frame("1", 49, 0),
            commit,
            fakes.frame("1", 50, 1, place=1),
            fakes.frame("1", 51, 1),
            fakes.finished("1", 0),
            fakes.finished("1", 1),
        ]

    run(scenario())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_draft_does_not_wait_for_a_prepare(engine: str, start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(ENGINES[engine])
        worker.prepare(prepare("endless"))  # no engine yet
        await collect(worker.load(LOAD))
        for count in range(3):
            worker.prepare(prepare("endless"))
            worker.prepare(prepare("endless"))
            drafted = await collect(worker.draft(draft(f"{count}")))
            assert isinstance(drafted[-1], Finished), drafted[-1]

    run(scenario())


@pytest.mark.parametrize("engine", ENGINES)
def test_quitting_while_the_engine_reads_ahead(engine: str, start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(ENGINES[engine])
        await collect(worker.load(LOAD))
        worker.prepare(prepare("endless"))
        assert worker.close()

    run(scenario())


class Reading(fakes.FakeEngine):
    """Reads ahead in chunks that end when they may."""

    def __init__(self) -> None:
        super().__init__()
        self.in_chunk, self.chunk_may_end = threading.Event(), threading.Event()
        self.chunks = 0
        self.unloaded = threading.Event()

    def unload(self) -> None:
        self.unloaded.set()

    def prepare(self, _: PrepareRequest, cancelled: threading.Event) -> None:
        while self.chunks < 3 and not cancelled.is_set():
            self.in_chunk.set()
            assert self.chunk_may_end.wait(10)
            self.chunks += 1


def test_a_draft_starts_as_soon_as_the_chunk_in_hand_is_read(start: Start, run: Run) -> None:
    async def scenario() -> None:
        engine = Reading()
        worker = start(lambda: engine)
        await collect(worker.load(LOAD))
        worker.prepare(prepare())
        assert engine.in_chunk.wait(5)
        drafting = asyncio.create_task(collect(worker.draft(draft("1"))))
        await asyncio.sleep(0)
        engine.chunk_may_end.set()
        assert isinstance((await drafting)[-1], Finished)
        assert engine.chunks == 1

    run(scenario())


def test_an_unload_waits_for_no_more_than_the_chunk_in_hand(start: Start, run: Run) -> None:
    async def scenario() -> None:
        engine = Reading()
        worker = start(lambda: engine)
        await collect(worker.load(LOAD))
        worker.prepare(prepare())
        assert engine.in_chunk.wait(5)
        worker.unload()
        engine.chunk_may_end.set()
        assert engine.unloaded.wait(5)
        assert engine.chunks == 1

    run(scenario())


class Stubborn(fakes.FakeEngine):
    """Fails at what nobody waits for."""

    def unload(self) -> None:
        raise RuntimeError("the device is gone")

    def prepare(self, _request: PrepareRequest, _cancelled: threading.Event) -> None:
        raise RuntimeError("the device is gone")


def test_a_fault_outside_a_draft_is_logged_and_the_next_one_comes(
    start: Start, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        worker = start(Stubborn)
        await collect(worker.load(LOAD))
        worker.prepare(prepare())
        worker.unload()
        assert isinstance((await collect(worker.draft(draft("1"))))[-1], Finished)

    run(scenario())
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "the device is gone"
    ] * 2
    caplog.clear()


def test_a_draft_behind_a_chunk_that_hangs_is_told(start: Start, run: Run, emitted: Emitted) -> None:
    async def scenario() -> None:
        engine = Reading()
        worker = start(lambda: engine, first_hang_s=0.3)
        unasked, unread = worker.draft(draft("unasked")), worker.draft(draft("unread"))
        await collect(worker.load(LOAD))
        await anext(unread)
        await collect(worker.draft(draft("0")))  # after the unread one
        worker.prepare(prepare())
        assert engine.in_chunk.wait(5)
        given_up = asyncio.create_task(collect(worker.draft(draft("1"))))
        drafting = asyncio.create_task(collect(worker.draft(draft("2"))))
        await asyncio.sleep(0)
        worker.cancel("1")
        await given_up
        assert await emitted(worker.stalled) == ("2",)
        engine.chunk_may_end.set()
        assert isinstance((await drafting)[-1], Finished)
        await unread.aclose()
        await unasked.aclose()

    run(scenario())


def test_a_process_that_takes_no_more_text_is_told_and_can_be_restarted(
    start: Start, run: Run, emitted: Emitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends = threading.Event()
    send = child_process.ChildProcess.send

    def send_and_note(child: child_process.ChildProcess, request: Request) -> None:
        if isinstance(request, PrepareRequest):
            sends.set()
        send(child, request)

    async def scenario() -> None:
        worker = start(ENGINES["process"], first_hang_s=0.3)
        ready = (await collect(worker.load(LOAD)))[-1]
        assert isinstance(ready, Ready)
        os.kill(int(ready.label), signal.SIGSTOP)
        worker.prepare(prepare(before="more than a pipe holds" * 100_000))
        assert sends.wait(5)
        drafting = asyncio.create_task(collect(worker.draft(draft("1"))))
        assert await emitted(worker.stalled) == ("1",)
        assert worker.restart()
        assert isinstance((await drafting)[-1], Finished)

    monkeypatch.setattr(child_process.ChildProcess, "send", send_and_note)
    run(scenario())


def test_a_fault_in_a_prepare_is_only_logged(
    start: Start, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        worker = start(fakes.FakeEngine)
        await collect(worker.load(LOAD))
        worker.prepare(prepare("raise"))
        assert isinstance((await collect(worker.draft(draft("1"))))[-1], Finished)

    run(scenario())
    assert "layer 7" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("engine", ["process", "thread"])
def test_a_fault_in_engine_code_is_a_failed_event(
    engine: str, start: Start, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        worker = start(ENGINES[engine])
        missing = await collect(worker.load(LoadRequest(request_id="0", model="missing")))
        assert isinstance(missing[-1], Failed)
        assert missing[-1].kind == "weights-missing"
        await collect(worker.load(LOAD))
        failed = (await collect(worker.draft(draft("1", "raise"))))[-1]
        assert isinstance(failed, Failed)
        assert failed.kind == "bug"
        assert "layer 7" in failed.details
        assert isinstance((await collect(worker.draft(draft("2"))))[-1], Finished)

    run(scenario())
    caplog.clear()


def test_an_engine_that_cannot_be_made_is_a_failed_event(
    start: Start, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def open_engine() -> Engine:
        raise ImportError("torch")

    async def scenario() -> None:
        (failed,) = await collect(start(open_engine).load(LOAD))
        assert isinstance(failed, Failed)
        assert "torch" in failed.details

    run(scenario())
    assert "LoadRequest failed" in caplog.text
    caplog.clear()


def test_an_engine_that_dies_while_nothing_is_asked_of_it_is_told(
    start: Start, run: Run, qtbot: QtBot
) -> None:
    worker = start(ENGINES["process"])
    ready = run(collect(worker.load(LOAD)))[-1]
    assert isinstance(ready, Ready)
    with qtbot.waitSignal(worker.lost):
        os.kill(int(ready.label), signal.SIGKILL)


def test_killed_mid_draft_then_the_next_draft_works(
    start: Start, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        worker = start(ENGINES["process"])
        ready = (await collect(worker.load(LOAD)))[-1]
        assert isinstance(ready, Ready)
        events = worker.draft(draft("1", "endless"))
        await until(events, Frame)
        os.kill(int(ready.label), signal.SIGKILL)
        failed = (await collect(events))[-1]
        assert isinstance(failed, Failed)
        assert failed.kind == "engine-died"
        again = await collect(worker.draft(draft("2")))
        assert any(isinstance(event, Ready) and event.label != ready.label for event in again)
        assert isinstance(again[-1], Finished)

    run(scenario())
    assert "SIGKILL" in caplog.text
    caplog.clear()


@pytest.mark.parametrize(
    ("instruction", "limits"),
    [
        ("hang", {"first_hang_s": 0.3}),  # before the first step
        ("hang late", {"hang_s": 0.3}),
    ],
)
def test_a_hung_engine_is_told_and_can_be_restarted(
    instruction: str,
    limits: dict[str, float],
    start: Start,
    run: Run,
    emitted: Emitted,
) -> None:
    async def scenario() -> None:
        worker = start(ENGINES["process"], **limits)
        await collect(worker.load(LOAD))
        drafting = asyncio.create_task(collect(worker.draft(draft("1", instruction))))
        assert await emitted(worker.stalled) == ("1",)
        assert await emitted(worker.stalled) == ("1",)
        assert worker.restart()
        failed = (await drafting)[-1]
        assert isinstance(failed, Failed)
        assert (failed.kind, failed.message) == ("engine-died", "The engine was stopped.")
        assert isinstance((await collect(worker.draft(draft("2"))))[-1], Finished)

    run(scenario())


def test_the_memory_of_a_hung_engine_is_freed_at_once(start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(ENGINES["process"])
        await collect(worker.load(LOAD))
        events = worker.draft(draft("1", "hang"))
        await until(events, Frame)
        worker.unload()
        failed = (await asyncio.wait_for(collect(events), 10))[-1]
        assert isinstance(failed, Failed)
        assert (failed.kind, failed.message) == ("engine-died", "The engine was stopped.")
        assert isinstance((await collect(worker.load(LOAD)))[-1], Ready)

    run(scenario())


@pytest.mark.parametrize(("engine", "instruction"), [("process", "hang"), ("thread", "endless")])
def test_quitting_while_a_draft_develops(engine: str, instruction: str, start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(ENGINES[engine])
        await collect(worker.load(LOAD))
        events = worker.draft(draft("1", instruction))
        await until(events, Frame)
        waiting = worker.draft(draft("2"))
        assert worker.close()
        assert worker.isFinished()
        assert await collect(events) == [Cancelled(request_id="1")]
        assert await collect(waiting) == [Cancelled(request_id="2")]
        assert await collect(worker.draft(draft("3"))) == [Cancelled(request_id="3")]

    run(scenario())


def test_qt_events_are_handled_between_two_of_ours(start: Start, run: Run) -> None:
    said = [Committed(request_id="1", variant=0, canvas=canvas, text="x") for canvas in range(5)]

    async def scenario() -> None:
        engine = Gated(said)
        events = start(lambda: engine).draft(draft("1"))
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        assert engine.said.wait(5)
        await first
        painted = [True]
        async for _ in events:
            assert painted
            painted.clear()
            QTimer.singleShot(0, partial(painted.append, True))

    run(scenario())


def open_session() -> Engine:
    from engine.runtime.local_engine import LocalEngine

    return LocalEngine()


@pytest.mark.both_worlds
@pytest.mark.parametrize("open_engine", [ProcessEngine, open_session])
def test_the_real_engine(open_engine: Callable[[], Engine], start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(open_engine)
        loaded = await collect(worker.load(LoadRequest(request_id="load", model="starter", device="cpu")))
        assert isinstance(loaded[-1], Ready), loaded[-1]
        events = worker.draft(draft_request("1", "The rain had stopped. "))
        await until(events, Frame)
        worker.cancel("1")
        assert await collect(events) == [Cancelled(request_id="1")]
        worker.prepare(prepare(before="The rain had stopped. "))
        request = draft_request("2", "The rain had stopped. ", max_steps=3, early_stop=False)
        drafted = await collect(worker.draft(request))
        assert isinstance(drafted[-1], Finished), drafted[-1]
        assert [event.step for event in drafted if isinstance(event, Frame)] == [0, 1, 2, 3]

    run(scenario(), timeout_s=120)


def test_importing_the_thread_leaves_torch_out() -> None:
    code = (
        "import sys, app.worker.engine_thread; sys.exit(bool({'torch', 'transformers'} & sys.modules.keys()))"
    )
    subprocess.run((sys.executable, "-c", code), cwd=GOLDEN.parents[2], check=True)
