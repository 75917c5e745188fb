"""A draft whose model is loaded, lost, freed or stuck: no text is lost, and the writer is told."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from app.drafting.draft_session import DraftState
from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from engine.protocol.events import DraftEvent, LoadEvent
from engine.protocol.requests import DraftRequest, LoadRequest
from engine.runtime.process_engine import ProcessEngine
from tests.app.conftest import Emitted, Run
from tests.app.drafting.conftest import Desk, ScriptedEngine, instructed
from tests.app.pages import TEXT
from tests.fakes import COMMAND, finished, ready
from tests.fakes import TEXT as DRAFT


def test_after_the_engine_is_lost_no_model_is_said_to_be_loaded(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        assert await desk.model.ensure_loaded()
        desk.worker.lost.emit()
        assert desk.model.ready is None
        assert await desk.model.ensure_loaded()

    run(scenario())


def test_what_a_draft_took_is_told_with_the_model(desk: Desk, engine: ScriptedEngine, run: Run) -> None:
    told: list[int] = []
    desk.model.changed.connect(lambda: told.append(desk.model.ready.memory_bytes if desk.model.ready else -1))

    async def scenario() -> None:
        for engine.peak_bytes in (5, 3, 0):
            await desk.settled()
            desk.draft.discard()

    run(scenario())
    assert told[-2:] == [0, 5]


def test_what_a_draft_took_of_a_card_is_told_where_a_part_of_the_model_is_streamed(desk: Desk) -> None:
    desk.model.note(msgspec.structs.replace(ready("1"), memory_bytes=16, streamed_bytes=11))
    for peak in (7, 6):
        stats = msgspec.structs.replace(finished("1").stats, peak_bytes=peak)
        desk.model.note(msgspec.structs.replace(finished("1"), stats=stats))
    assert desk.model.ready
    assert (desk.model.ready.on_device_bytes, desk.model.ready.streamed_bytes) == (7, 11)


def test_a_draft_asked_for_while_the_model_loads_waits_and_then_comes(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    engine.may_load.clear()

    async def scenario() -> None:
        desk.model.load()
        desk.commands.draft()
        assert desk.model.loading is not None
        assert desk.drafts.state is DraftState.PREPARING
        engine.may_load.set()
        await desk.state(DraftState.SETTLED)
        assert desk.model.ready is not None

    run(scenario())


def test_a_draft_given_up_while_the_model_loads_is_never_asked_for(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    engine.may_load.clear()

    async def scenario() -> None:
        desk.commands.draft()
        desk.draft.discard()
        engine.may_load.set()
        await desk.until(lambda: desk.model.ready is not None)
        await desk.settled()

    run(scenario())
    assert len(engine.requests) == 1


def test_a_model_that_cannot_be_loaded_is_told_with_its_remedy(
    desk: Desk, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    desk.settings.change(model="missing")

    async def scenario() -> None:
        desk.commands.draft()
        await desk.until(lambda: bool(desk.faults) and desk.drafts.current is None)

    run(scenario())
    assert (desk.faults[0].kind, desk.faults[0].remedy) == ("weights-missing", "Choose another one.")
    assert desk.page.text() == TEXT
    caplog.clear()


@pytest.mark.parametrize("how", ["die", "exit", "half", "noise", "unknown", "lose the device", "raise"])
def test_a_fault_of_the_engine_costs_no_text_and_the_next_draft_works(
    qtbot: QtBot,
    run: Run,
    tmp_path: Path,
    how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = EngineThread(lambda: Telling(ProcessEngine(COMMAND)))
    desk = Desk.make(qtbot, run, SettingsStore(tmp_path / "settings.json"), worker)
    Telling.how = how

    async def scenario() -> None:
        desk.commands.draft()
        await desk.until(lambda: bool(desk.faults) and desk.drafts.current is None)
        assert desk.page.text() == TEXT
        Telling.how = ""
        desk.commands.draft()
        await desk.until(lambda: desk.texts == [DRAFT])
        desk.commands.keep()
        await desk.close()

    run(scenario())
    assert desk.page.text() == f"{TEXT}\n\n{DRAFT}"
    fault = desk.faults[0]
    assert fault.message
    assert fault.remedy or how == "lose the device"
    assert worker.close()
    caplog.clear()


class Telling:
    """Passes an instruction on to an engine."""

    how = ""

    def __init__(self, engine: ProcessEngine) -> None:
        self._engine = engine
        self.load, self.prepare, self.prompt, self.measure_link, self.unload, self.close = (
            engine.load,
            engine.prepare,
            engine.prompt,
            engine.measure_link,
            engine.unload,
            engine.close,
        )

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        return self._engine.draft(instructed(request, self.how), cancelled)


def test_an_engine_that_does_not_move_is_told_and_waiting_goes_on(
    desk: Desk, run: Run, engine: ScriptedEngine, emitted: Emitted
) -> None:
    engine.may_load.clear()

    async def scenario() -> None:
        desk.commands.draft()
        await desk.until(lambda: desk.drafts.stalled)
        desk.drafts.wait_longer()
        assert not desk.drafts.stalled
        engine.may_load.set()
        await desk.state(DraftState.SETTLED)

    run(scenario())


@pytest.mark.parametrize("state", [DraftState.PREPARING, DraftState.DENOISING, DraftState.SETTLED])
def test_another_model_is_loaded_at_once_and_costs_no_text(
    desk: Desk, run: Run, engine: ScriptedEngine, state: DraftState
) -> None:
    """A draft on its way is given up, one that has settled stays."""
    engine.how = "" if state is DraftState.SETTLED else "endless"

    async def scenario() -> None:
        if state is DraftState.PREPARING:
            engine.may_load.clear()
        desk.commands.draft()
        await desk.state(state)
        desk.model.reload()
        assert desk.model.ready is None
        assert desk.drafts.state is (DraftState.SETTLED if state is DraftState.SETTLED else None)
        engine.may_load.set()
        await desk.until(lambda: desk.model.ready is not None)
        engine.how = ""
        desk.drafts.discard_all()
        await desk.settled()

    run(scenario())
    assert desk.page.text() == TEXT
    assert desk.texts == [DRAFT]
    assert desk.faults == []


@pytest.mark.parametrize("state", [None, DraftState.DENOISING, DraftState.SETTLED])
def test_the_memory_is_freed_and_the_next_draft_loads_again(
    desk: Desk, run: Run, engine: ScriptedEngine, state: DraftState
) -> None:
    async def scenario() -> None:
        if state is None:
            desk.model.load()
            await desk.until(lambda: desk.model.ready is not None)
        else:
            engine.how = "endless" if state is DraftState.DENOISING else ""
            desk.commands.draft()
            await desk.state(state)
        desk.model.unload()
        assert desk.model.ready is None
        await desk.until(lambda: not engine.loaded)
        engine.how = ""
        desk.drafts.discard_all()
        await desk.settled()
        assert desk.model.ready is not None

    run(scenario())
    assert desk.page.text() == TEXT
    assert desk.faults == []


def test_a_load_is_given_up_when_the_memory_is_freed(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    desk.settings.change(model="endless")

    async def scenario() -> None:
        desk.model.load()
        await desk.until(lambda: bool(desk.model.loading and desk.model.loading.fraction))
        desk.model.unload()
        assert desk.model.loading is None
        desk.settings.change(model="starter")
        await desk.settled()

    run(scenario())
    assert not desk.faults


def test_a_load_names_the_precision_and_what_drafts_will_take(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    loads: list[LoadRequest] = []
    load_it = engine.load

    def noted(request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        loads.append(request)
        return load_it(request, cancelled)

    engine.load = noted  # type: ignore[method-assign]
    desk.settings.change(precision="4-bit", context_tokens=5000, variants=3)
    run(desk.settled())
    assert [(load.precision, load.context_tokens, load.variants) for load in loads] == [("4-bit", 5000, 3)]


def test_why_a_load_failed_is_kept_with_its_kind(
    desk: Desk, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    desk.settings.change(model="missing")

    async def scenario() -> None:
        desk.model.load()
        await desk.until(lambda: bool(desk.faults))

    run(scenario())
    caplog.clear()
    assert [fault.kind for fault in desk.faults] == ["weights-missing"]
    assert desk.model.fault is not None
