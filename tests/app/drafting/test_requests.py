"""What a draft asks the engine for, at one place and at several."""

import pytest
from PySide6.QtGui import QTextCursor
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftState
from engine.protocol.requests import DraftPlace, SamplingOverrides
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import END, TEXT, cursor_at, put_caret
from tests.fakes import TEXT as DRAFT


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


@pytest.mark.parametrize(
    ("text", "goes_on"),
    [("My aunt", True), ("- milk\n- ", True), ("It rained.", False), ("It rained. ", False)],
)
def test_a_sentence_that_was_begun_is_gone_on_with(
    desk: Desk, run: Run, engine: ScriptedEngine, text: str, goes_on: bool
) -> None:
    set_document_text(desk.page.document(), text)
    put_caret(desk.page, len(text))
    run(desk.settled())
    assert (engine.requests[0].places[0].min_tokens > 0) is goes_on


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
        desk.drafts.discard_all()
        engine.how = ""
        await desk.settled()  # the engine is free again

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
