"""What is read ahead gives way to whatever is asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from engine.protocol.events import Finished, Ready
from engine.protocol.requests import PrepareRequest, Request
from engine.runtime import child_process
from tests import fakes
from tests.app.conftest import Emitted, Run
from tests.app.worker.conftest import ENGINES, LOAD, Start, collect, draft, prepare


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
