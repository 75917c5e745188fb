"""A selected passage drafted anew, in its place, by an engine that does what the test says."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCursor
from pytestqt.qtbot import QtBot

from app.documents.text import change_document_text, set_document_text
from app.drafting.controller import PASSAGE_CHANGED
from app.drafting.draft_actions import CANNOT_REDRAFT, DraftActions
from app.drafting.draft_commands import HALF_A_CODE_BLOCK, NOTHING_SELECTED, NOTHING_TO_BRIDGE
from app.drafting.draft_session import DraftState
from app.drafting.verbs import EXPAND, OF_SELECTION, POLISH, REPHRASE, REWRITE, SHORTEN, Verb
from engine.protocol.requests import Span
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import TEXT, put_caret

PASSAGE = "He had come out to lock the gate 🌊 and did not look at her while he spoke."
REST = TEXT[: -len(PASSAGE)]
NEW = ("Worst.", "Middling.", "Better.", "Best.")


def select(desk: Desk, passage: str) -> None:
    find = desk.page.document().find(passage.partition("\n")[0])
    find.setPosition(find.selectionStart())
    move, keep = QTextCursor.MoveOperation.NextCharacter, QTextCursor.MoveMode.KeepAnchor
    find.movePosition(move, keep, len(passage))
    desk.page.setTextCursor(find)


async def redrafted(desk: Desk, verb: Verb = REWRITE, passage: str = PASSAGE) -> None:
    select(desk, passage)
    desk.commands.redraft_selection(verb)
    await desk.state(DraftState.SETTLED)


def edited(desk: Desk, at: int, text: str) -> None:
    cursor = QTextCursor(desk.page.document())
    cursor.setPosition(at)
    cursor.insertText(text)


@pytest.fixture
def engine(engine: ScriptedEngine) -> ScriptedEngine:
    engine.says_each = NEW
    return engine


@pytest.mark.parametrize("verb", OF_SELECTION, ids=lambda verb: verb.label)
def test_each_verb_asks_for_its_passage_and_puts_the_best_draft_in_its_place(
    desk: Desk, engine: ScriptedEngine, run: Run, verb: Verb
) -> None:
    async def scenario() -> None:
        await redrafted(desk, verb)
        assert desk.page.text() == TEXT
        assert desk.texts == list(reversed(NEW[: len(verb.length_shares)]))
        assert desk.draft.shown_variant == 0
        desk.commands.keep()

    run(scenario())
    (request,) = engine.requests
    (place,) = request.places
    assert (place.before, place.start_text, place.after) == (REST, PASSAGE, "")
    assert (place.renoise_share, place.length_shares, place.joins_after) == (
        verb.renoise_share,
        verb.length_shares,
        True,
    )
    assert (request.variants, request.sampling.steps_share) == (len(verb.length_shares), verb.steps_share)
    assert desk.page.text() == REST + NEW[len(verb.length_shares) - 1]
    desk.page.undo()
    assert desk.page.text() == TEXT
    assert not desk.page.document().isUndoAvailable()
    assert desk.faults == []


def test_all_variants_develop_and_can_be_looked_at_meanwhile(
    desk: Desk, engine: ScriptedEngine, run: Run
) -> None:
    engine.how = "endless"

    async def scenario() -> None:
        select(desk, PASSAGE)
        desk.commands.redraft_selection(REWRITE)
        await desk.until(lambda: desk.draft.step > 1)
        assert (desk.draft.count, desk.draft.shown_variant) == (4, 0)
        for index, shown in ((1, 1), (3, 3), (4, 3), (2, 2), (-1, 2)):
            desk.draft.show(index)
            assert desk.draft.shown_variant == shown
            await desk.until(lambda: desk.draft.step > 0)
        seed = engine.requests[0].seed
        desk.draft.stop()
        assert desk.texts == ["It rained"] * 4
        assert desk.draft.variants[desk.draft.shown_variant].seed == seed + 2  # the one that was watched

    run(scenario())


def test_retry_adds_variants_and_a_failed_one_brings_back_the_one_shown(
    desk: Desk, engine: ScriptedEngine, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        await redrafted(desk, SHORTEN)
        desk.draft.retry()
        await desk.until(lambda: len(desk.texts) == 6)
        assert (desk.draft.shown_variant, desk.draft.text) == (3, "Better.")
        desk.draft.show(1)
        engine.how = "lose the device"
        desk.draft.retry()
        await desk.until(lambda: bool(desk.faults))
        assert (desk.draft.shown_variant, desk.draft.text, desk.draft.count) == (1, "Middling.", 6)
        engine.how = "endless"
        desk.draft.retry()
        for variant in (6, 7, 8):  # something can be read of each
            desk.draft.show(variant)
            await desk.until(lambda: desk.draft.step > 1)
        desk.draft.show(2)
        desk.draft.stop()
        assert desk.draft.count == 9
        desk.commands.keep()

    run(scenario())
    assert desk.page.text() == REST + "It rained"
    caplog.clear()


@pytest.mark.parametrize("how", ["", "endless"])
def test_discard_leaves_no_trace_and_the_passage_can_come_back(
    desk: Desk, engine: ScriptedEngine, run: Run, how: str
) -> None:
    async def scenario() -> None:
        await redrafted(desk)
        desk.draft.holds_names = False
        desk.draft.show(2)
        engine.how = how
        if how:
            desk.draft.retry()
            await desk.until(lambda: desk.draft.step > 0)
        desk.draft.discard()
        assert desk.page.text() == TEXT
        assert not desk.page.document().isModified()
        assert desk.drafts.can_bring_back
        desk.commands.bring_back()
        assert not desk.draft.holds_names
        assert desk.texts == list(reversed(NEW))
        desk.draft.show(2)
        desk.commands.keep()

    run(scenario())
    assert desk.page.text() == REST + NEW[1]


@pytest.mark.parametrize("settled", [True, False])
def test_a_passage_that_the_writer_changes_is_the_writers(
    desk: Desk, engine: ScriptedEngine, run: Run, settled: bool, qtbot: QtBot
) -> None:
    async def scenario() -> None:
        engine.how = "" if settled else "endless"
        select(desk, PASSAGE)
        desk.commands.redraft_selection(REWRITE)
        await desk.until(lambda: desk.drafts.state is not DraftState.PREPARING)
        if settled:
            await desk.state(DraftState.SETTLED)
        put_caret(desk.page, len(REST) + 3)
        qtbot.keyClicks(desk.page, "x")
        desk.page.viewport().grab()
        assert desk.drafts.current is None
        assert desk.faults == [PASSAGE_CHANGED]
        assert not desk.drafts.can_bring_back
        desk.commands.bring_back()
        assert desk.drafts.current is None
        changed = []
        desk.drafts.changed.connect(lambda: changed.append(desk.drafts.can_bring_back))
        desk.page.undo()
        assert desk.page.text() == TEXT
        assert desk.drafts.can_bring_back is settled
        assert changed == [True] * settled
        if settled:
            desk.commands.bring_back()
            desk.commands.keep()
            assert desk.page.text() == REST + NEW[-1]

    run(scenario())


def test_undo_past_a_redraft_lets_it_go(desk: Desk, run: Run, qtbot: QtBot) -> None:
    async def scenario() -> None:
        put_caret(desk.page, len(TEXT) + 1)
        qtbot.keyClicks(desk.page, " Word")
        await redrafted(desk, REPHRASE, "spoke. Word")
        desk.page.undo()
        assert desk.page.text() == TEXT
        assert desk.drafts.current is None

    run(scenario())
    assert desk.faults == [PASSAGE_CHANGED]


def test_a_reload_from_disk_lets_go_what_it_changes_alone(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await redrafted(desk, REWRITE, "The ferry was late again.")
        change_document_text(desk.page.document(), TEXT.replace("lock the", "open a"))
        assert desk.drafts.state is DraftState.SETTLED
        change_document_text(desk.page.document(), TEXT.replace("late", "early"))
        assert desk.drafts.current is None

    run(scenario())
    assert desk.faults == [PASSAGE_CHANGED]


@pytest.mark.parametrize("at", [len(REST), len(TEXT) + 1, 0])
def test_typing_around_a_passage_goes_around_it(
    desk: Desk, engine: ScriptedEngine, run: Run, at: int
) -> None:
    async def scenario() -> None:
        await redrafted(desk)
        edited(desk, at, "~")
        assert desk.drafts.state is DraftState.SETTLED
        desk.commands.keep()

    run(scenario())
    utf16 = f"{TEXT[:at]}~{TEXT[at:]}" if at <= len(REST) else f"{TEXT}~"
    assert desk.page.text() == utf16.replace(PASSAGE, NEW[-1])


@pytest.mark.parametrize(
    ("text", "passage", "fault"),
    [
        ("a \n \t b", " \n \t ", NOTHING_SELECTED),
        ("a 🦊🌊… b", "🦊🌊…", NOTHING_SELECTED),
        ("A b.\n```\nx\n```", "A b.\n```\nx", HALF_A_CODE_BLOCK),
        ("```\nx = 1\n```\nA b.", "x = 1\n```\nA", HALF_A_CODE_BLOCK),
    ],
)
def test_what_is_no_passage_is_told(desk: Desk, text: str, passage: str, fault: object) -> None:
    set_document_text(desk.page.document(), text)
    cursor = QTextCursor(desk.page.document())
    start = text.index(passage)
    cursor.setPosition(start)
    cursor.movePosition(
        QTextCursor.MoveOperation.NextCharacter, QTextCursor.MoveMode.KeepAnchor, len(passage)
    )
    desk.page.setTextCursor(cursor)
    desk.commands.redraft_selection(REWRITE)
    assert desk.faults == [fault]
    assert desk.drafts.current is None


def test_the_whole_text_is_a_passage_too(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        desk.page.selectAll()
        desk.commands.redraft_selection(POLISH)
        await desk.state(DraftState.SETTLED)
        desk.commands.keep()

    run(scenario())
    assert desk.page.text() == "Better."


def test_passages_that_overlap_lead_to_the_draft_that_is_there(
    desk: Desk, engine: ScriptedEngine, run: Run
) -> None:
    async def scenario() -> None:
        await redrafted(desk, REWRITE, "The ferry was late again.")
        first = desk.draft
        for passage in ("ferry was", "again. Clara sat", "The ferry was late again."):
            select(desk, passage)
            desk.commands.redraft_selection(EXPAND)
            assert list(desk.drafts.overlays) == [first]
            assert desk.drafts.at_caret is first
        put_caret(desk.page, 10)
        desk.commands.bridge()
        put_caret(desk.page, first.placement.bounds[0])
        desk.commands.bridge()
        assert list(desk.drafts.overlays) == [first]
        select(desk, "Clara sat on her suitcase")
        desk.commands.redraft_selection(EXPAND)
        await desk.until(lambda: all(draft.text for draft in desk.drafts.overlays))
        assert len(desk.drafts.overlays) == 2
        desk.draft.keep()
        put_caret(desk.page, 0)
        desk.commands.keep()

    run(scenario())
    assert desk.page.text() == TEXT.replace("The ferry was late again.", "Best.").replace(
        "Clara sat on her suitcase", "Better."
    )
    desk.page.undo()
    desk.page.undo()
    assert desk.page.text() == TEXT


def test_a_bridge_needs_text_on_both_sides_and_is_put_in_between(
    desk: Desk, engine: ScriptedEngine, run: Run
) -> None:
    async def scenario() -> None:
        desk.commands.bridge()
        assert desk.faults == [NOTHING_TO_BRIDGE]
        put_caret(desk.page, REST.index("Clara"))
        desk.commands.bridge()
        await desk.state(DraftState.SETTLED)
        assert desk.texts == ["Better. ", "Middling. ", "Worst. "]
        desk.commands.keep()

    run(scenario())
    assert engine.requests[0].places[0].after.startswith("Clara sat")
    assert desk.page.text() == TEXT.replace("again. Clara", "again. Better. Clara")
    desk.page.undo()
    assert desk.page.text() == TEXT


def test_names_stay_unless_the_writer_frees_them(desk: Desk, engine: ScriptedEngine, run: Run) -> None:
    actions = DraftActions(desk.drafts, desk.commands, desk.picking, desk.page)

    async def scenario() -> None:
        edited(desk, len(TEXT) + 1, " So Clara went.")
        await redrafted(desk, REWRITE, "again. Clara sat")
        for count in (8, 12):
            assert actions.names.isEnabled()
            actions.names.trigger()
            await desk.state(DraftState.SETTLED)
            assert len(desk.texts) == count

    run(scenario())
    assert [request.places[0].held for request in engine.requests] == [(Span(7, 12),), (), (Span(7, 12),)]
    assert actions.names.isChecked()
    desk.draft.discard()
    assert not actions.names.isEnabled()


@pytest.mark.parametrize("lacks", ["pins", "start_text"])
def test_what_the_engine_cannot_do_is_not_offered(
    desk: Desk, engine: ScriptedEngine, run: Run, lacks: str
) -> None:
    engine.can = {"pins": lacks != "pins", "start_text": lacks != "start_text"}
    actions = DraftActions(desk.drafts, desk.commands, desk.picking, desk.page)
    joining = [*actions.of_selection, actions.bridge, actions.gaps]
    assert all(action.isEnabled() for action in joining)
    run(desk.model.ensure_loaded())
    assert not any(action.isEnabled() for action in joining)
    assert {action.toolTip() for action in joining} == {CANNOT_REDRAFT}
    assert actions.draft.isEnabled()


def test_no_more_variants_than_the_engine_takes(desk: Desk, engine: ScriptedEngine, run: Run) -> None:
    engine.can = {"max_batch": 2}

    async def scenario() -> None:
        await desk.model.ensure_loaded()
        await redrafted(desk)

    run(scenario())
    assert engine.requests[0].variants == 2


def test_quit_while_variants_develop(desk: Desk, engine: ScriptedEngine, run: Run) -> None:
    engine.how = "endless"

    async def scenario() -> None:
        select(desk, PASSAGE)
        desk.commands.redraft_selection(REWRITE)
        await desk.until(lambda: desk.draft.step > 0)
        await desk.drafts.close()

    run(scenario())
    assert desk.drafts.current is None
    assert desk.page.text() == TEXT


def test_enter_and_escape_at_a_redraft(desk: Desk, run: Run, qtbot: QtBot) -> None:
    async def scenario() -> None:
        await redrafted(desk)
        desk.draft.settled_at_s -= 1
        qtbot.keyClick(desk.page, Qt.Key.Key_Escape)
        assert desk.drafts.current is None
        assert desk.page.text() == TEXT
        desk.commands.bring_back()
        desk.draft.settled_at_s -= 1
        qtbot.keyClick(desk.page, Qt.Key.Key_Return)

    run(scenario())
    assert desk.page.text() == REST + NEW[-1]
    assert desk.page.textCursor().atEnd()


@pytest.mark.parametrize("then", ["", "keep", "discard_all"])
def test_what_is_typed_after_it_stands(desk: Desk, qtbot: QtBot, run: Run, then: str) -> None:
    """The caret moves with what is typed, although the passage's end does not."""

    async def scenario() -> None:
        await redrafted(desk)
        if then:
            getattr(desk.commands if then == "keep" else desk.drafts, then)()

    run(scenario())
    before = desk.page.text()
    qtbot.keyClick(desk.page, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(desk.page, "Once more")
    assert desk.page.text() == f"Once more{before}"
