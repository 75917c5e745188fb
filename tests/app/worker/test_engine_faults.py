"""An engine that fails, dies or hangs is told, and the next draft works."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from pytestqt.qtbot import QtBot

from engine.protocol.engine import Engine
from engine.protocol.events import Failed, Finished, Frame, Ready
from engine.protocol.requests import LoadRequest
from tests.app.conftest import Emitted, Run
from tests.app.worker.conftest import ENGINES, LOAD, Start, collect, draft, until


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
