"""From the button to keep or discard, with a real worker thread and an engine that does what it is told."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QTextCursor
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftSession, DraftState
from app.editor.placement import Placement
from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from engine.protocol.events import Committed, DraftEvent, Frame, LoadEvent, Token
from engine.protocol.requests import DraftPlace, DraftRequest, LoadRequest, SamplingOverrides
from engine.runtime.process_engine import ProcessEngine
from tests.app.conftest import Emitted, Run
from tests.app.drafting.conftest import Desk, ScriptedEngine, instructed
from tests.app.pages import END, TEXT, cursor_at, put_caret
from tests.fakes import COMMAND
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


@pytest.mark.parametrize("reduced", ["on", "off"])
def test_motion_is_reduced_for_retry_too(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch, reduced: str
) -> None:
    still: list[object] = []
    monkeypatch.setattr("app.editor.draft_overlay.paint_placeholder", lambda *_, **__: still.append(1))

    async def scenario() -> None:
        desk.settings.change(reduced_motion="off" if reduced == "on" else "on")
        await desk.settled()
        still.clear()
        desk.settings.change(reduced_motion=reduced)
        desk.draft.retry()
        desk.page.viewport().grab()
        desk.draft.discard()

    run(scenario())
    assert bool(still) is (reduced == "on")


@pytest.mark.parametrize("watched", [True, False])
def test_the_page_holds_still_when_a_draft_settles_and_goes_to_a_long_one_when_asked(
    desk: Desk, engine: ScriptedEngine, run: Run, watched: bool
) -> None:
    engine.says = "It rained and rained, and nobody came to the door. " * 14
    page = desk.page
    set_document_text(page.document(), "\n".join(f"Paragraph {number}." for number in range(80)))
    put_caret(page, page.document().characterCount() - 1)
    page.resize(900, 420)

    async def scenario() -> None:
        desk.commands.draft()
        await desk.state(DraftState.DENOISING)
        if not watched:
            put_caret(page, page.textCursor().position() - 30)
        before = page.verticalScrollBar().value()
        await desk.state(DraftState.SETTLED)
        assert page.verticalScrollBar().value() == before
        assert desk.drafts.overlays[desk.draft].geometry.bar_top > page.viewport().height()
        desk.drafts.go_to_draft()
        assert desk.drafts.overlays[desk.draft].geometry.bar_top < page.viewport().height() - 40

    run(scenario())


def test_a_draft_is_kept_and_undone_and_redone(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        assert desk.page.text() == TEXT
        desk.commands.keep()

    run(scenario())
    kept = desk.page.text()
    assert kept == f"{TEXT}\n\n{DRAFT}"
    assert desk.drafts.current is None
    desk.page.undo()
    assert desk.page.text() == TEXT
    assert not desk.page.document().isUndoAvailable()
    desk.page.redo()
    assert desk.page.text() == kept
    assert desk.faults == []


@pytest.mark.parametrize("state", [DraftState.PREPARING, DraftState.DENOISING, DraftState.SETTLED])
def test_discard_in_every_state_leaves_no_trace(
    desk: Desk, run: Run, engine: ScriptedEngine, state: DraftState
) -> None:
    engine.how = "" if state is DraftState.SETTLED else "endless"

    async def scenario() -> None:
        if state is DraftState.PREPARING:
            engine.may_load.clear()
        desk.commands.draft()
        await desk.state(state)
        desk.draft.discard()
        assert desk.drafts.current is None
        engine.may_load.set()
        engine.how = ""
        await desk.settled()  # the engine is free again, and what was late was dropped
        assert desk.texts == [DRAFT]
        desk.draft.discard()

    run(scenario())
    document = desk.page.document()
    assert desk.page.text() == TEXT
    assert not document.isModified()
    assert not document.isUndoAvailable()
    assert desk.drafts.current is None


def test_stop_makes_what_stands_the_draft(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    engine.how = "endless"

    async def scenario() -> None:
        desk.commands.draft()
        await desk.until(lambda: desk.draft.step > 3)
        desk.draft.stop()
        assert desk.drafts.state is DraftState.SETTLED
        desk.commands.keep()

    run(scenario())
    assert desk.page.text() == f"{TEXT}\n\nIt rained"


def test_stop_before_anything_stands_backs_out(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    engine.may_load.clear()

    async def scenario() -> None:
        desk.commands.draft()
        desk.draft.stop()
        engine.may_load.set()

    run(scenario())
    assert desk.drafts.current is None
    assert desk.drafts.current is None


def test_a_second_ctrl_enter_keeps_at_the_anchor_and_waits_elsewhere(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    async def scenario() -> None:
        desk.commands.draft()
        desk.commands.draft()
        await desk.state(DraftState.SETTLED)
        assert len(engine.requests) == 1
        put_caret(desk.page, 4)
        desk.commands.draft()
        assert (desk.drafts.state, desk.page.text()) == (DraftState.SETTLED, TEXT)
        put_caret(desk.page, END)
        desk.commands.draft()

    run(scenario())
    assert desk.page.text() == f"{TEXT}\n\n{DRAFT}"


def test_retry_keeps_the_drafts_before_it_within_reach(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    desk.settings.change(seed=7)

    async def scenario() -> None:
        await desk.settled()
        engine.how = "endless"
        desk.draft.retry()
        await desk.until(lambda: desk.draft.step > 0)
        desk.draft.stop()

    run(scenario())
    assert desk.texts == [DRAFT, "It rained"]
    assert [request.seed for request in engine.requests] == [7, 8]
    desk.draft.show(5)
    assert desk.draft.text == "It rained"
    desk.draft.show(0)
    desk.commands.keep()
    assert desk.page.text() == f"{TEXT}\n\n{DRAFT}"


def test_a_retry_given_up_brings_back_the_draft_that_was_shown(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    async def scenario() -> None:
        await desk.settled()
        engine.says = "Second."
        desk.draft.retry()
        await desk.state(DraftState.SETTLED)
        desk.draft.show(0)
        desk.draft.retry()
        desk.draft.stop()

    run(scenario())
    assert (desk.draft.text, desk.draft.shown_variant) == (DRAFT, 0)


def test_a_selection_of_line_ends_alone_is_none(desk: Desk, run: Run) -> None:
    end = TEXT.index("\n\n")
    cursor = desk.page.textCursor()
    cursor.setPosition(end)
    cursor.setPosition(end + 2, QTextCursor.MoveMode.KeepAnchor)
    desk.page.setTextCursor(cursor)

    async def scenario() -> None:
        desk.commands.draft()
        await desk.state(DraftState.SETTLED)

    run(scenario())
    assert desk.drafts.at_caret
    assert desk.page.textCursor().position() == end


def test_a_retry_that_fails_brings_the_former_draft_back(
    desk: Desk, run: Run, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        await desk.settled()
        engine.how = "lose the device"
        desk.draft.retry()
        await desk.until(lambda: bool(desk.faults))

    run(scenario())
    assert desk.drafts.state is DraftState.SETTLED
    assert desk.draft.text == DRAFT
    caplog.clear()


def test_a_retry_takes_the_text_and_the_settings_as_they_are_now(
    desk: Desk, run: Run, engine: ScriptedEngine, qtbot: QtBot
) -> None:
    async def scenario() -> None:
        await desk.settled()
        qtbot.keyClicks(desk.page, " However,")
        desk.settings.change(max_steps=7)
        desk.draft.retry()
        await desk.until(lambda: len(desk.texts) == 2)

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
        desk.commands.keep()

    run(scenario())
    assert engine.requests[0].places[0].before == TEXT[:first] + "\n\n"
    assert desk.page.text() == f"{TEXT[:first]}\n\n{DRAFT}\n{TEXT[first:]}"


def test_the_request_carries_the_text_and_the_settings(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    desk.settings.change(
        max_steps=12, length=2, seed=5, t_max=0.9, t_min=0.2, entropy_bound=0.3, context_tokens=512
    )
    desk.settings.change(early_stop=False)
    place = TEXT.index("morning")
    put_caret(desk.page, place)
    run(desk.settled())
    request = engine.requests[0]
    assert request.places == (DraftPlace(before=TEXT[:place], after=TEXT[place:], extent="paragraphs"),)
    assert (request.canvases, request.seed, request.context_tokens) == (2, 5, 512)
    assert request.sampling == SamplingOverrides(
        max_steps=12, t_max=0.9, t_min=0.2, entropy_bound=0.3, early_stop=False
    )


@pytest.mark.parametrize(
    ("length", "extent", "kept"),
    [
        (0, "sentence", "It rained."),
        (1, "paragraph", "It rained. She read on."),
        (3, "paragraphs", "It rained. She read on.\n\nBest wishes,\nAnn"),
    ],
)
def test_a_draft_is_as_long_as_was_chosen(
    desk: Desk, run: Run, engine: ScriptedEngine, length: int, extent: str, kept: str
) -> None:
    engine.says = "It rained. She read on.\n\nBest wishes,\nAnn"
    desk.settings.change(length=length)

    async def scenario() -> None:
        await desk.settled()
        assert desk.draft.text == kept
        desk.drafts.discard_all()
        desk.commands.bring_back()
        assert desk.draft.text == kept
        desk.commands.keep()

    run(scenario())
    (place,) = engine.requests[0].places
    assert (place.extent, engine.requests[0].canvases) == (extent, max(1, length))
    assert (place.min_tokens > 0) is (length == 0)
    assert desk.page.text() == f"{TEXT}\n\n{kept}"


def test_a_selection_is_context_only(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    cursor = desk.page.textCursor()
    cursor.setPosition(4)
    cursor.setPosition(9, cursor.MoveMode.KeepAnchor)
    desk.page.setTextCursor(cursor)

    async def scenario() -> None:
        await desk.settled()
        desk.commands.keep()

    run(scenario())
    assert engine.requests[0].places == (DraftPlace(before="ferry"),)
    assert desk.page.text() == f"{TEXT[:9]} {DRAFT}{TEXT[9:]}"


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
        self.load, self.prepare, self.unload, self.close = (
            engine.load,
            engine.prepare,
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


def test_typing_elsewhere_goes_on_while_a_draft_develops(
    desk: Desk, run: Run, engine: ScriptedEngine, qtbot: QtBot
) -> None:
    engine.how = "endless"

    async def scenario() -> None:
        desk.commands.draft()
        await desk.until(lambda: desk.draft.step > 1)
        put_caret(desk.page, 0)
        for letter in "Once ":
            qtbot.keyClicks(desk.page, letter)
            await asyncio.sleep(0.01)
        desk.draft.stop()
        desk.commands.keep()

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
        await desk.until(lambda: not engine._loaded)
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


def test_stop_takes_the_models_own_characters_and_nothing_of_a_committed_canvas_twice(desk: Desk) -> None:
    tokens = (Token("It\u00a0is ", 0.0, True, False), Token("naïve 🦊", 2.0, False, False))
    odd = Frame(request_id="a", variant=0, canvas=0, step=3, max_steps=9, elapsed_s=0.0, tokens=tokens)
    for committed, text in (("", "It\u00a0is naïve 🦊"), ("It was. ", "It was.")):
        draft = open_session(desk)
        developed: list[tuple[Token, ...]] = []
        draft.developed.connect(developed.append)
        draft.on_event(odd)
        if committed:
            draft.on_event(Committed(request_id="a", variant=0, canvas=0, text=committed))
        draft.stop()
        assert draft.text == text
        assert [token.text for token in developed[-1]][:1] == [committed]


def test_stop_on_noise_takes_nothing(desk: Desk) -> None:
    draft = open_session(desk)
    draft.on_event(
        Frame(
            request_id="a",
            variant=0,
            canvas=0,
            step=0,
            max_steps=9,
            elapsed_s=0.0,
            tokens=(Token("noise", 3.0, False, False),),
        )
    )
    draft.stop()
    assert draft.state is DraftState.ENDED


def open_session(desk: Desk) -> DraftSession:
    """A draft that was asked for, without an engine."""
    placement = Placement(desk.page.textCursor())
    draft = DraftSession(placement, send=lambda _: None, cancel=lambda _: None, parent=desk.page)
    draft.begin("a", seeds=[0], max_steps=9)
    return draft


def test_several_places_are_drafted_in_one_batch(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    """Each is its own draft: kept, discarded, retried and undone alone, wherever the others are."""
    places = [TEXT.index("\n"), TEXT.index("\n\n"), END]
    desk.settings.change(seed=5)

    async def scenario() -> None:
        desk.commands.draft_at([cursor_at(desk.page, place) for place in places])
        drafts = list(desk.drafts.overlays)
        await desk.until(lambda: all(draft.state is DraftState.SETTLED for draft in drafts))
        assert [draft.variants[0].seed for draft in drafts] == [5, 6, 7]
        put_caret(desk.page, drafts[1].placement.cursor.position())
        assert desk.drafts.current is drafts[1]
        desk.commands.keep()
        drafts[0].discard()
        drafts[2].retry()
        await desk.until(lambda: len(drafts[2].variants) == 2)
        assert list(desk.drafts.overlays) == [drafts[2]]

    run(scenario())
    (request, again) = engine.requests
    assert [place.before for place in request.places] == [
        f"{TEXT[: places[0]]}\n\n",
        f"{TEXT[: places[1]]}\n\n",
        f"{TEXT}\n\n",
    ]
    assert len(again.places) == 1
    assert desk.page.text() == f"{TEXT[: places[1]]}\n\n{DRAFT}{TEXT[places[1] :]}"
    desk.page.undo()
    assert desk.page.text() == TEXT


def test_one_place_given_up_lets_the_others_go_on(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    engine.how = "endless"

    async def scenario() -> None:
        desk.commands.draft_at([cursor_at(desk.page, TEXT.index("\n")), cursor_at(desk.page, END)])
        first, second = desk.drafts.overlays
        await desk.until(lambda: second.step > 1)
        first.discard()
        step = second.step
        await desk.until(lambda: second.step > step)
        second.stop()
        assert second.text == "It rained"
        await desk.until(lambda: not desk.drafts.requests._waiting)

    run(scenario())


def test_a_fault_ends_every_place_and_is_told_once(
    desk: Desk, run: Run, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.how = "lose the device"

    async def scenario() -> None:
        desk.commands.draft_at([cursor_at(desk.page, TEXT.index("\n")), cursor_at(desk.page, END)])
        await desk.until(lambda: not desk.drafts.overlays)

    run(scenario())
    assert [fault.kind for fault in desk.faults] == ["device-lost"]
    caplog.clear()


def test_a_draft_never_breaks_a_word(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    start = TEXT.index("morning")
    put_caret(desk.page, start + 3)

    async def scenario() -> None:
        await desk.settled()
        assert desk.drafts.at_caret is desk.draft
        desk.commands.keep()

    run(scenario())
    end = start + len("morning")
    assert engine.requests[0].places[0].before == TEXT[:end]
    assert desk.page.text() == f"{TEXT[:end]} {DRAFT}{TEXT[end:]}"


def test_moves_of_the_caret_are_told_where_another_draft_becomes_the_current_one(
    desk: Desk, run: Run, engine: ScriptedEngine
) -> None:
    engine.how = "endless"
    first = TEXT.index("\n")

    async def scenario() -> None:
        desk.commands.draft_at([cursor_at(desk.page, place) for place in (first, END)])
        earlier, newest = desk.drafts.overlays
        told: list[DraftSession | None] = []
        desk.drafts.changed.connect(lambda: told.append(desk.drafts.current))
        for place in (3, 4, 5, END, 6):
            put_caret(desk.page, place)
        assert not told
        for place in (first, 7, 8, first):
            put_caret(desk.page, place)
        assert told == [earlier, newest, earlier]
        desk.drafts.discard_all()

    run(scenario())
