"""From the button to keep or discard, with a real worker thread and an engine that does what it is told."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from PySide6.QtGui import QTextCursor
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftSession, DraftState
from app.editor.page import Page
from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from engine.protocol.engine import Engine
from engine.protocol.events import DraftEvent, Finished, LoadEvent
from engine.protocol.requests import DraftPlace, DraftRequest, LoadRequest, SamplingOverrides
from engine.runtime.process_engine import ProcessEngine
from tests.app.conftest import Emitted, Run
from tests.app.editor.test_page import TEXT, make_page, put_caret
from tests.fakes import COMMAND, FakeEngine, with_instruction
from tests.fakes import TEXT as DRAFT

END = len(TEXT) + 1
"""The emoji counts twice in Qt's positions."""


class ScriptedEngine(FakeEngine):
    """Remembers the requests, holds back a load or a draft, and takes its instruction from the test."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[DraftRequest] = []
        self.how = ""
        self.peak_bytes = 0
        self.says = DRAFT
        self.may_load = threading.Event()
        self.may_load.set()

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        self.may_load.wait()
        yield from super().load(request, cancelled)

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        self.requests.append(request)
        for event in super().draft(with_instruction(request, self.how), cancelled):
            if isinstance(event, Finished):
                stats = msgspec.structs.replace(event.stats, peak_bytes=self.peak_bytes)
                event = msgspec.structs.replace(event, stats=stats, text=self.says)
            yield event


@dataclass
class Desk:
    page: Page
    drafting: DraftSession
    worker: EngineThread
    settings: SettingsStore
    messages: list[tuple[str, str]]

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await asyncio.sleep(0.002)

    async def state(self, state: DraftState) -> None:
        await self.until(lambda: self.drafting.state is state)

    async def settled(self) -> None:
        self.drafting.draft()
        await self.state(DraftState.SETTLED)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def open_engine(engine: ScriptedEngine) -> Callable[[], Engine]:
    return lambda: engine


@pytest.fixture
def desk(qtbot: QtBot, run: Run, tmp_path: Path, open_engine: Callable[[], Engine]) -> Iterator[Desk]:
    page = make_page(qtbot)
    put_caret(page, END)
    settings = SettingsStore(tmp_path / "settings.json")
    worker = EngineThread(open_engine, hang_s=0.3, first_hang_s=0.3)
    drafting = DraftSession(page, worker, settings)
    messages: list[tuple[str, str]] = []
    drafting.failed.connect(lambda message, remedy, _kind: messages.append((message, remedy)))
    worker.start()
    yield Desk(page, drafting, worker, settings, messages)
    run(drafting.close())
    assert worker.close()


def test_what_a_draft_took_is_told_with_the_model(desk: Desk, engine: ScriptedEngine, run: Run) -> None:
    told: list[int] = []
    desk.drafting.model_changed.connect(
        lambda: told.append(desk.drafting.ready.memory_bytes if desk.drafting.ready else -1)
    )

    async def scenario() -> None:
        for engine.peak_bytes in (5, 3, 0):
            await desk.settled()
            desk.drafting.discard()

    run(scenario())
    assert told[-2:] == [0, 5]


@pytest.mark.parametrize("watched", [True, False])
def test_the_bar_of_a_long_draft_comes_into_view_for_who_waits_for_it(
    desk: Desk, engine: ScriptedEngine, run: Run, watched: bool
) -> None:
    engine.says = "It rained and rained, and nobody came to the door. " * 14
    page = desk.page
    set_document_text(page.document(), "\n".join(f"Paragraph {number}." for number in range(80)))
    put_caret(page, page.document().characterCount() - 1)
    page.resize(900, 420)

    async def scenario() -> None:
        desk.drafting.draft()
        await desk.state(DraftState.DENOISING)
        if not watched:
            put_caret(page, page.textCursor().position() - 30)
        before = page.verticalScrollBar().value()
        await desk.state(DraftState.SETTLED)
        assert (page.verticalScrollBar().value() > before) is watched
        assert (page.draft.bar_top() or 0) < page.viewport().height() - 40 or not watched

    run(scenario())


def test_a_draft_is_kept_and_undone_and_redone(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        assert desk.page.text() == TEXT
        desk.drafting.keep()

    run(scenario())
    kept = desk.page.text()
    assert kept == f"{TEXT}\n\n{DRAFT}"
    assert desk.drafting.state is DraftState.IDLE
    desk.page.undo()
    assert desk.page.text() == TEXT
    assert not desk.page.document().isUndoAvailable()
    desk.page.redo()
    assert desk.page.text() == kept
    assert desk.messages == []


@pytest.mark.parametrize("state", [DraftState.PREPARING, DraftState.DENOISING, DraftState.SETTLED])
def test_discard_in_every_state_leaves_no_trace(
    desk: Desk, run: Run, engine: ScriptedEngine, state: DraftState
) -> None:
    engine.how = "" if state is DraftState.SETTLED else "endless"

    async def scenario() -> None:
        if state is DraftState.PREPARING:
            engine.may_load.clear()
        desk.drafting.draft()
        await desk.state(state)
        desk.drafting.discard()
        assert desk.drafting.state is DraftState.IDLE
        engine.may_load.set()
        engine.how = ""
        await desk.settled()  # the engine is free again, and what was late was dropped
        assert desk.drafting.variants == [DRAFT]
        desk.drafting.discard()

    run(scenario())
    document = desk.page.document()
    assert desk.page.text() == TEXT
    assert not document.isModified()
    assert not document.isUndoAvailable()
    assert desk.page.draft.anchor is None


def test_stop_makes_what_stands_the_draft(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    engine.how = "endless"

    async def scenario() -> None:
        desk.drafting.draft()
        await desk.until(lambda: desk.drafting.step > 3)
        desk.drafting.stop()
        assert desk.drafting.state is DraftState.SETTLED
        desk.drafting.keep()

    run(scenario())
    assert desk.page.text() == f"{TEXT}\n\nIt rained"


def test_stop_before_anything_stands_backs_out(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    engine.may_load.clear()

    async def scenario() -> None:
        desk.drafting.draft()
        desk.drafting.stop()
        engine.may_load.set()

    run(scenario())
    assert desk.drafting.state is DraftState.IDLE
    assert desk.page.draft.anchor is None


def test_a_second_ctrl_enter_keeps_at_the_anchor_and_waits_elsewhere(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    async def scenario() -> None:
        desk.drafting.draft()
        desk.drafting.draft()
        await desk.state(DraftState.SETTLED)
        assert len(engine.requests) == 1
        put_caret(desk.page, 4)
        desk.drafting.draft()
        assert (desk.drafting.state, desk.page.text()) == (DraftState.SETTLED, TEXT)
        put_caret(desk.page, END)
        desk.drafting.draft()

    run(scenario())
    assert desk.page.text() == f"{TEXT}\n\n{DRAFT}"


def test_retry_keeps_the_drafts_before_it_within_reach(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    desk.settings.change(seed=7)

    async def scenario() -> None:
        await desk.settled()
        engine.how = "endless"
        desk.drafting.retry()
        await desk.until(lambda: desk.drafting.step > 0)
        desk.drafting.stop()

    run(scenario())
    assert desk.drafting.variants == [DRAFT, "It rained"]
    assert [request.seed for request in engine.requests] == [7, 8]
    desk.drafting.show_variant(5)
    assert desk.page.draft.settled_text == "It rained"
    desk.drafting.show_variant(0)
    desk.drafting.keep()
    assert desk.page.text() == f"{TEXT}\n\n{DRAFT}"


def test_a_retry_given_up_brings_back_the_draft_that_was_shown(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    async def scenario() -> None:
        await desk.settled()
        engine.says = "Second."
        desk.drafting.retry()
        await desk.state(DraftState.SETTLED)
        desk.drafting.show_variant(0)
        desk.drafting.retry()
        desk.drafting.stop()

    run(scenario())
    assert (desk.page.draft.settled_text, desk.drafting.shown_variant) == (DRAFT, 0)


def test_a_selection_of_line_ends_alone_is_none(desk: Desk, run: Run) -> None:
    end = TEXT.index("\n\n")
    cursor = desk.page.textCursor()
    cursor.setPosition(end)
    cursor.setPosition(end + 2, QTextCursor.MoveMode.KeepAnchor)
    desk.page.setTextCursor(cursor)

    async def scenario() -> None:
        desk.drafting.draft()
        await desk.state(DraftState.SETTLED)

    run(scenario())
    assert desk.page.at_draft()
    assert desk.page.textCursor().position() == end


def test_a_retry_that_fails_brings_the_former_draft_back(
    desk: Desk, run: Run, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        await desk.settled()
        engine.how = "lose the device"
        desk.drafting.retry()
        await desk.until(lambda: bool(desk.messages))

    run(scenario())
    assert desk.drafting.state is DraftState.SETTLED
    assert desk.page.draft.settled_text == DRAFT
    caplog.clear()


def test_a_retry_takes_the_text_and_the_settings_as_they_are_now(
    desk: Desk, run: Run, engine: ScriptedEngine, qtbot: QtBot
) -> None:
    async def scenario() -> None:
        await desk.settled()
        qtbot.keyClicks(desk.page, " However,")
        desk.settings.change(max_steps=7)
        desk.drafting.retry()
        await desk.until(lambda: len(desk.drafting.variants) == 2)

    run(scenario())
    assert [request.places[0].before for request in engine.requests] == [
        f"{TEXT}\n\n",
        f"{TEXT} However,\n\n",
    ]
    assert [request.sampling.max_steps for request in engine.requests] == [None, 7]


def test_a_selected_paragraph_mark_does_not_move_the_draft(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    first = TEXT.index("\n")
    cursor = desk.page.textCursor()
    cursor.setPosition(0)
    cursor.setPosition(first + 1, cursor.MoveMode.KeepAnchor)
    desk.page.setTextCursor(cursor)

    async def scenario() -> None:
        await desk.settled()
        desk.drafting.keep()

    run(scenario())
    assert engine.requests[0].places[0].before == TEXT[:first] + "\n\n"
    assert desk.page.text() == f"{TEXT[:first]}\n\n{DRAFT}{TEXT[first:]}"


def test_the_request_carries_the_text_and_the_settings(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    desk.settings.change(
        max_steps=12, canvases=2, seed=5, t_max=0.9, t_min=0.2, entropy_bound=0.3, context_tokens=512
    )
    desk.settings.change(early_stop=False)
    place = TEXT.index("morning")
    put_caret(desk.page, place)
    run(desk.settled())
    request = engine.requests[0]
    assert request.places == (DraftPlace(before=TEXT[:place], after=TEXT[place:]),)
    assert (request.canvases, request.seed, request.context_tokens) == (2, 5, 512)
    assert request.sampling == SamplingOverrides(
        max_steps=12, t_max=0.9, t_min=0.2, entropy_bound=0.3, early_stop=False
    )


def test_a_selection_is_context_only(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    cursor = desk.page.textCursor()
    cursor.setPosition(4)
    cursor.setPosition(9, cursor.MoveMode.KeepAnchor)
    desk.page.setTextCursor(cursor)

    async def scenario() -> None:
        await desk.settled()
        desk.drafting.keep()

    run(scenario())
    assert engine.requests[0].places == (DraftPlace(before="ferry"),)
    assert desk.page.text() == TEXT[:9] + DRAFT + TEXT[9:]


def test_a_draft_asked_for_while_the_model_loads_waits_and_then_comes(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    engine.may_load.clear()

    async def scenario() -> None:
        desk.drafting.load()
        desk.drafting.draft()
        assert desk.drafting.loading is not None
        assert desk.drafting.state is DraftState.PREPARING
        engine.may_load.set()
        await desk.state(DraftState.SETTLED)
        assert desk.drafting.ready is not None

    run(scenario())


def test_a_draft_given_up_while_the_model_loads_is_never_asked_for(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    engine.may_load.clear()

    async def scenario() -> None:
        desk.drafting.draft()
        desk.drafting.discard()
        engine.may_load.set()
        await desk.until(lambda: desk.drafting.ready is not None)
        await desk.settled()

    run(scenario())
    assert len(engine.requests) == 1


def test_a_model_that_cannot_be_loaded_is_told_with_its_remedy(
    desk: Desk, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    desk.settings.change(model="missing")

    async def scenario() -> None:
        desk.drafting.draft()
        await desk.until(lambda: bool(desk.messages) and desk.drafting.state is DraftState.IDLE)

    run(scenario())
    assert desk.messages[0] == ("There is no model 'missing'.", "Choose another one.")
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
    page = make_page(qtbot)
    put_caret(page, END)
    worker = EngineThread(lambda: Telling(ProcessEngine(COMMAND)))
    drafting = DraftSession(page, worker, SettingsStore(tmp_path / "settings.json"))
    messages: list[tuple[str, str]] = []
    drafting.failed.connect(lambda message, remedy, _kind: messages.append((message, remedy)))
    worker.start()
    Telling.how = how

    async def scenario() -> None:
        drafting.draft()
        while not messages or drafting.state is not DraftState.IDLE:
            await asyncio.sleep(0.002)
        assert page.text() == TEXT
        assert page.draft.anchor is None
        Telling.how = ""
        drafting.draft()
        while drafting.variants != [DRAFT]:
            await asyncio.sleep(0.002)
        drafting.keep()
        await drafting.close()

    run(scenario())
    assert page.text() == f"{TEXT}\n\n{DRAFT}"
    message, remedy = messages[0]
    assert message
    assert remedy or how == "lose the device"
    assert worker.close()
    caplog.clear()


class Telling:
    """Passes an instruction on to an engine."""

    how = ""

    def __init__(self, engine: ProcessEngine) -> None:
        self._engine = engine
        self.load, self.prepare, self.unload, self.close = (
            engine.load,
            engine.prepare,
            engine.unload,
            engine.close,
        )

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        return self._engine.draft(with_instruction(request, self.how), cancelled)


def test_an_engine_that_does_not_move_is_told_and_waiting_goes_on(
    desk: Desk, run: Run, engine: ScriptedEngine, emitted: Emitted
) -> None:
    engine.may_load.clear()

    async def scenario() -> None:
        desk.drafting.draft()
        await desk.until(lambda: desk.drafting.stalled)
        desk.drafting.wait_longer()
        assert not desk.drafting.stalled
        engine.may_load.set()
        await desk.state(DraftState.SETTLED)

    run(scenario())


def test_typing_elsewhere_goes_on_while_a_draft_develops(
    desk: Desk, run: Run, engine: ScriptedEngine, qtbot: QtBot
) -> None:
    engine.how = "endless"

    async def scenario() -> None:
        desk.drafting.draft()
        await desk.until(lambda: desk.drafting.step > 1)
        put_caret(desk.page, 0)
        for letter in "Once ":
            qtbot.keyClicks(desk.page, letter)
            await asyncio.sleep(0.01)
        desk.drafting.stop()
        desk.drafting.keep()

    run(scenario())
    assert desk.page.text() == f"Once {TEXT}\n\nIt rained"
    assert desk.page.textCursor().position() == 5


@pytest.mark.parametrize("state", [DraftState.PREPARING, DraftState.DENOISING, DraftState.SETTLED])
def test_another_model_is_loaded_at_once_and_costs_no_text(
    desk: Desk, run: Run, engine: ScriptedEngine, state: DraftState
) -> None:
    """A draft on its way is given up, one that has settled stays."""
    engine.how = "" if state is DraftState.SETTLED else "endless"

    async def scenario() -> None:
        if state is DraftState.PREPARING:
            engine.may_load.clear()
        desk.drafting.draft()
        await desk.state(state)
        desk.drafting.reload()
        assert desk.drafting.ready is None
        assert desk.drafting.state is (DraftState.SETTLED if state is DraftState.SETTLED else DraftState.IDLE)
        engine.may_load.set()
        await desk.until(lambda: desk.drafting.ready is not None)
        engine.how = ""
        desk.drafting.discard()
        await desk.settled()

    run(scenario())
    assert desk.page.text() == TEXT
    assert desk.drafting.variants == [DRAFT]
    assert desk.messages == []


@pytest.mark.parametrize("state", [DraftState.IDLE, DraftState.DENOISING, DraftState.SETTLED])
def test_the_memory_is_freed_and_the_next_draft_loads_again(
    desk: Desk, run: Run, engine: ScriptedEngine, state: DraftState
) -> None:
    async def scenario() -> None:
        if state is DraftState.IDLE:
            desk.drafting.load()
            await desk.until(lambda: desk.drafting.ready is not None)
        else:
            engine.how = "endless" if state is DraftState.DENOISING else ""
            desk.drafting.draft()
            await desk.state(state)
        desk.drafting.unload()
        assert desk.drafting.ready is None
        await desk.until(lambda: not engine._loaded)
        engine.how = ""
        desk.drafting.discard()
        await desk.settled()
        assert desk.drafting.ready is not None

    run(scenario())
    assert desk.page.text() == TEXT
    assert desk.messages == []


def test_a_load_is_given_up_when_the_memory_is_freed(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    desk.settings.change(model="endless")

    async def scenario() -> None:
        desk.drafting.load()
        await desk.until(lambda: bool(desk.drafting.loading and desk.drafting.loading.fraction))
        desk.drafting.unload()
        assert desk.drafting.loading is None
        desk.settings.change(model="starter")
        await desk.settled()

    run(scenario())
    assert not desk.messages


def test_a_load_names_the_precision_and_the_context(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    loads: list[LoadRequest] = []
    load = engine.load

    def noted(request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        loads.append(request)
        return load(request, cancelled)

    engine.load = noted  # type: ignore[method-assign]
    desk.settings.change(precision="4-bit", context_tokens=5000)
    run(desk.settled())
    assert [(request.precision, request.context_tokens) for request in loads] == [("4-bit", 5000)]


def test_why_a_load_failed_is_kept_with_its_kind(
    desk: Desk, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    kinds: list[str] = []
    desk.drafting.failed.connect(lambda _message, _remedy, kind: kinds.append(kind))
    desk.settings.change(model="missing")

    async def scenario() -> None:
        desk.drafting.load()
        await desk.until(lambda: bool(kinds))

    run(scenario())
    caplog.clear()
    assert kinds == ["weights-missing"]
    assert desk.drafting.fault is not None
