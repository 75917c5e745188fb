"""The drafting path through the real thread: engine in a child process, engine in the thread, trace."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest
from PySide6.QtCore import QTimer

from engine.protocol.engine import Engine
from engine.protocol.events import Cancelled, Committed, DraftEvent, Finished, Frame, Prefilled, Ready
from engine.protocol.requests import LoadRequest
from engine.runtime.process_engine import ProcessEngine
from tests import fakes
from tests.app.conftest import Run
from tests.app.worker.conftest import ENGINES, GOLDEN, LOAD, Start, collect, draft, prepare, until
from tests.fakes import draft_request


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
