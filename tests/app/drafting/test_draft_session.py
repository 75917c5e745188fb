"""From the button to keep or discard, with a real worker thread and an engine that does what it is told."""

import asyncio

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftSession, DraftState
from app.editor.placement import Placement
from engine.protocol.events import Committed, Denoising, Frame, Token
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import END, TEXT, cursor_at, put_caret
from tests.fakes import TEXT as DRAFT


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


def test_a_frame_ends_what_is_told_of_its_step(desk: Desk) -> None:
    draft = open_session(desk)
    frame = Frame(request_id="a", variant=0, canvas=0, step=3, max_steps=9, elapsed_s=90.0, tokens=())
    draft.on_event(frame)
    draft.on_event(Denoising(request_id="a", step=4, share=0.4))
    assert (draft.step, draft.step_share) == (3, 0.4)
    draft.on_event(msgspec.structs.replace(frame, step=4))
    assert (draft.step, draft.step_share) == (4, 0.0)


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
