"""How fast a card is copied to: asked once, while nothing else is, and kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from engine.protocol.events import Cancelled, Device, Event, Failed, Finished, LinkEvent, LinkMeasured
from engine.protocol.requests import LinkRequest
from tests import fakes
from tests.app.conftest import Run
from tests.app.worker.conftest import ENGINES, LOAD, Start, collect, draft, prepare

CARD = Device(id="cuda:0", name="RTX 4060", total_bytes=8 << 30, free_bytes=7 << 30, uuid="GPU-1")


def link(device: str) -> LinkRequest:
    return LinkRequest(request_id=device, device=device)


async def begun(worker: EngineThread, request: LinkRequest) -> asyncio.Task[list[Event]]:
    """The engine has been asked by then."""
    asked = asyncio.Event()

    async def measure() -> list[Event]:
        asked.set()  # and goes on to where it waits for the engine
        return await collect(worker.measure_link(request))

    task = asyncio.create_task(measure())
    await asked.wait()
    return task


@pytest.mark.parametrize("engine", ["process", "thread"])
def test_a_link_is_measured_by_the_engine_and_gives_way_to_a_draft(
    engine: str, start: Start, run: Run
) -> None:
    async def scenario() -> None:
        worker = start(ENGINES[engine])
        await collect(worker.load(LOAD))
        assert await collect(worker.measure_link(link("GPU-1"))) == [
            LinkMeasured(request_id="GPU-1", bytes_per_s=12 * 10**9)
        ]
        measuring = await begun(worker, link("endless"))
        worker.prepare(prepare())
        assert isinstance((await collect(worker.draft(draft("1"))))[-1], Finished)
        assert await measuring == [Cancelled(request_id="endless")]

    run(scenario())


@pytest.mark.parametrize("engine", ["process", "thread"])
def test_what_is_read_ahead_waits_for_a_link(engine: str, start: Start, run: Run) -> None:
    async def scenario() -> None:
        worker = start(ENGINES[engine])
        await collect(worker.load(LOAD))
        measuring = await begun(worker, link("GPU-1"))
        worker.prepare(prepare("endless"))
        assert isinstance((await measuring)[-1], LinkMeasured)

    run(scenario())


class Counting(fakes.FakeEngine):
    """Counts how often it is asked; at first it has something else to do, or cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def measure_link(self, request: LinkRequest, cancelled: threading.Event) -> Iterator[LinkEvent]:
        self.asked.append(request.device)
        if len(self.asked) == 1:
            yield Cancelled(request_id=request.request_id)
        elif len(self.asked) == 2:
            yield Failed(request_id=request.request_id, kind="out-of-memory", message="The card is full.")
        else:
            yield from super().measure_link(request, cancelled)


def test_a_card_is_asked_of_until_it_is_known_and_then_no_more(
    qtbot: QtBot, start: Start, run: Run, tmp_path: Path
) -> None:
    engine, window = Counting(), QWidget()
    qtbot.addWidget(window)
    worker = start(lambda: engine)
    model = ModelSession(worker, SettingsStore(tmp_path / "settings.json"), window)

    async def scenario() -> None:
        model.measure_link(CARD)  # no engine yet
        model.load()
        await model.ensure_loaded()
        while len(engine.asked) < 2:
            model.measure_link(CARD)
            await asyncio.sleep(0.001)
        model.measure_link(CARD)
        await collect(worker.draft(draft("1")))
        assert engine.asked == ["GPU-1"] * 2
        assert model.link_bytes_per_s == {}
        model.reload()
        await model.ensure_loaded()
        while not model.link_bytes_per_s:
            model.measure_link(CARD)
            await asyncio.sleep(0.001)
        model.measure_link(CARD)
        await collect(worker.draft(draft("2")))
        assert engine.asked == ["GPU-1"] * 3
        assert model.link_bytes_per_s == {"GPU-1": 12 * 10**9}
        await model.close()

    run(scenario())
