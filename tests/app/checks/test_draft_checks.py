"""Drafts in the page, looked over once they have settled."""

from app.drafting.draft_actions import DraftActions
from app.drafting.draft_session import DraftState
from app.drafting.draft_words import DraftWords
from app.drafting.finding import Finding
from engine.protocol.requests import Span
from tests.app.checks.conftest import SAYS
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import END, put_caret


async def checked(desk: Desk) -> None:
    await desk.state(DraftState.SETTLED)
    wanted = desk.settings.current.check_glitches, desk.settings.current.check_facts
    await desk.until(lambda: desk.draft.words is not None and desk.draft.words.looked_for == wanted)


def marked(desk: Desk, kind: str = "glitch") -> list[str]:
    text = desk.draft.text or ""
    found = desk.draft.words.findings if desk.draft.words else ()
    return [text[each.span.start : each.span.end] for each in found if each.kind == kind]


def test_a_settled_drafts_glitch_is_marked_and_mended_by_a_key(
    desk: Desk, engine: ScriptedEngine, run: Run
) -> None:
    actions = DraftActions(desk.drafts, desk.commands, desk.picking, desk.page)

    async def scenario() -> None:
        desk.commands.draft()
        await checked(desk)
        assert marked(desk) == ["the"]
        assert actions.mend.isEnabled()
        assert not actions.mend.shortcut().isEmpty()
        engine.says = mended = SAYS.replace("the the", "the old")
        actions.mend.trigger()
        await checked(desk)
        assert desk.texts == [SAYS, mended]
        assert marked(desk) == []
        assert not actions.mend.isEnabled()

    run(scenario())
    place = engine.requests[-1].places[0]
    start = SAYS.index("the sea")
    assert place.start_text == SAYS
    assert place.held == (Span(0, start), Span(start + 3, len(SAYS)))
    assert (place.joins_after, place.changes) == (True, True)
    assert engine.requests[-1].variants == len(place.length_shares) > 1
    assert 0.1 in place.length_shares  # without the word


def test_a_switch_turns_it_off_and_on_again(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        await checked(desk)
        for on in (False, True):
            desk.settings.change(check_glitches=on)
            await checked(desk)
            assert marked(desk) == ["the"] * on

    run(scenario())


def test_facts_are_looked_for_in_the_text_around_and_in_what_was_asked(
    desk: Desk, engine: ScriptedEngine, run: Run
) -> None:
    engine.says = "Clara saw Ida and Eve at the gate with Clara and 12 of them."

    async def scenario() -> None:
        desk.commands.draft_at([desk.page.textCursor()], "Say it of Eve.")
        await checked(desk)
        assert marked(desk, "fact") == ["Ida", "12"]
        desk.settings.change(check_facts=False)
        await checked(desk)
        assert marked(desk, "fact") == []

    run(scenario())


def test_each_variant_is_checked_as_it_is_shown_and_no_code_is(
    desk: Desk, engine: ScriptedEngine, run: Run
) -> None:
    desk.settings.change(variants=2)
    engine.says_each = ("It was the the sea.", "It was the sea.")

    async def scenario() -> None:
        desk.commands.draft()
        await checked(desk)
        first = marked(desk)
        desk.draft.show(1)
        await checked(desk)
        assert sorted([first, marked(desk)]) == [[], ["the"]]
        desk.draft.discard()
        desk.settings.change(variants=1)
        desk.page.setPlainText("```\nfor the the in that:")
        put_caret(desk.page, END)
        engine.says_each, engine.says = (), "it is the the of it"
        desk.commands.draft()
        await checked(desk)
        assert marked(desk) == []

    run(scenario())


def test_a_draft_that_is_nothing_but_a_glitch_is_drafted_anew(
    desk: Desk, engine: ScriptedEngine, run: Run
) -> None:
    engine.says = "It was there by the gate."
    desk.page.setPlainText("It was there by the gate. ")
    put_caret(desk.page, END)

    async def scenario() -> None:
        desk.commands.draft()
        await checked(desk)
        assert marked(desk) == [engine.says]
        desk.draft.mend()
        await checked(desk)

    run(scenario())
    place = engine.requests[-1].places[0]
    assert (place.start_text, place.held, place.joins_after) == ("", (), False)


def test_all_but_the_glitches_stays() -> None:
    found = (("glitch", 1, 3), ("glitch", 2, 4), ("fact", 4, 5), ("glitch", 6, 7))
    findings = tuple(Finding(kind, Span(start, end), "") for kind, start, end in found)  # type: ignore[arg-type]
    words = DraftWords("abcdefg", findings=findings)
    assert words.around_glitches == (Span(0, 1), Span(4, 6))
    assert words.facts == [Span(4, 5)]


def test_while_it_is_mended_one_draft_is_on_its_way_and_a_retry_is_as_it_was(
    desk: Desk, engine: ScriptedEngine, run: Run
) -> None:
    seen: set[int] = set()

    async def scenario() -> None:
        desk.commands.draft()
        await checked(desk)
        engine.says = "It was calm."
        desk.drafts.changed.connect(lambda: seen.add(desk.draft.count) if desk.drafts.current else None)
        desk.draft.mend()
        await checked(desk)
        assert seen == {2}
        desk.draft.retry()
        await checked(desk)

    run(scenario())
    place = engine.requests[-1].places[0]
    assert (place.start_text, place.changes, place.joins_after) == ("", False, False)
