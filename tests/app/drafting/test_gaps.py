"""Places that the writer has marked, drafted all at once."""

import re

import pytest

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftState
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import put_caret
from tests.fakes import TEXT as DRAFT_TEXT

MANY = "\n\n".join(f"Part {number}.\n\n[[what part {number} says]]" for number in range(20))
MIXED = """We left on Monday 🌊. [[why so early]] The train was late.

[[]]

She put the [[ … ]] and the [[object]] on the table, un[[fini]]shed.

```python
def add(a, b):
    [[return the sum]]
```

[[open without an end
[[outer [[nested]] brackets]] and ]] alone.

[[the end]]"""
SHORT = (
    "[[]]",
    "a[[b]]c",
    "[[x]] [[y]]",
    "[[x]][[y]]",
    "[[x]]\n[[y]]",
    "One.\n\n[[x]] two.",
    "One.[[x]]",
    "[[x]]y",
)
GAP = re.compile(r"\[\[[^\[\]\n]*\]\]")


async def draft_all(desk: Desk) -> None:
    desk.commands.draft_all_gaps()
    await desk.until(lambda: all(draft.state is DraftState.SETTLED for draft in desk.drafts.overlays))


def filled(text: str, desk: Desk) -> str:
    """With the drafts that stand in the page put in."""
    texts = iter([draft.text or "" for draft in desk.drafts.overlays])
    return GAP.sub(lambda _: next(texts), text)


@pytest.mark.parametrize("text", [MIXED, MANY, *SHORT])
@pytest.mark.parametrize("most", [1, 3, 8])
def test_all_gaps_are_drafted_in_batches_and_kept_in_one_step(
    desk: Desk, engine: ScriptedEngine, run: Run, text: str, most: int
) -> None:
    engine.can = {"max_batch": most, "instructions": True}
    set_document_text(desk.page.document(), text)

    async def scenario() -> str:
        await desk.model.ensure_loaded()
        await draft_all(desk)
        expected = filled(text, desk)
        desk.commands.keep_all()
        return expected

    expected = run(scenario())
    assert not desk.faults
    assert not desk.drafts.overlays
    assert desk.page.text() == expected
    assert all(len(request.places) * request.variants <= most for request in engine.requests)
    asked = [place.instruction for request in engine.requests for place in request.places]
    assert sorted(asked) == sorted(found[2:-2].strip(" …") for found in GAP.findall(text))
    desk.page.undo()
    assert desk.page.text() == text
    desk.page.redo()
    assert desk.page.text() == expected


def test_each_is_kept_drafted_again_or_discarded_alone(desk: Desk, engine: ScriptedEngine, run: Run) -> None:
    engine.can = {"instructions": True}
    set_document_text(desk.page.document(), MIXED)

    async def scenario() -> None:
        await draft_all(desk)
        first, second, third, *_ = desk.drafts.overlays
        put_caret(desk.page, second.placement.cursor.position())
        desk.commands.keep()
        first.retry()
        third.discard()
        await desk.until(lambda: len(first.variants) > 1)

    run(scenario())
    assert engine.requests[-1].places[0].instruction == "why so early"
    replaced = iter([None, DRAFT_TEXT])
    assert desk.page.text() == GAP.sub(lambda gap: next(replaced, None) or gap[0], MIXED)


def test_what_is_discarded_together_comes_back_together(desk: Desk, run: Run) -> None:
    set_document_text(desk.page.document(), MANY)

    async def scenario() -> None:
        await draft_all(desk)
        before = [(draft.placement.bounds, draft.text, draft.instruction) for draft in desk.drafts.overlays]
        desk.drafts.discard_all()
        assert not desk.drafts.overlays
        desk.commands.bring_back()
        after = [(draft.placement.bounds, draft.text, draft.instruction) for draft in desk.drafts.overlays]
        assert after == before

    run(scenario())
    assert desk.page.text() == MANY


@pytest.mark.parametrize(
    ("text", "instructions", "told"),
    [
        ("One [[a note]] two.", False, 1),
        ("One [[]] two [[…]] three.", False, 0),
        ("One [[a note]] two.", True, 0),
    ],
)
def test_that_notes_are_not_read_is_told_once(
    desk: Desk, engine: ScriptedEngine, run: Run, text: str, instructions: bool, told: int
) -> None:
    engine.can = {"instructions": instructions}
    set_document_text(desk.page.document(), text)

    async def scenario() -> None:
        for _ in range(2):
            await draft_all(desk)
            desk.drafts.discard_all()

    run(scenario())
    assert [fault.kind for fault in desk.faults] == ["instructions"] * told


def test_a_gap_that_has_a_draft_is_not_drafted_twice(desk: Desk, engine: ScriptedEngine, run: Run) -> None:
    set_document_text(desk.page.document(), MIXED)

    async def scenario() -> None:
        await draft_all(desk)
        count = len(desk.drafts.overlays)
        desk.commands.draft_all_gaps()
        assert len(desk.drafts.overlays) == count
        desk.draft.discard()
        await draft_all(desk)
        assert len(desk.drafts.overlays) == count

    run(scenario())
    assert [fault.kind for fault in desk.faults] == ["instructions", "input"]
