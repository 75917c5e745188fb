"""The bar under the current draft."""

import itertools
import re

import msgspec
import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QApplication

from app.drafting.draft_actions import DraftActions
from app.drafting.draft_keys import DraftKeys
from app.drafting.draft_session import DraftState
from app.drafting.ui.draft_bar import DraftBar
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.fakes import frame


@pytest.fixture
def bar(desk: Desk) -> DraftBar:
    actions, keys = (
        DraftActions(desk.drafts, desk.commands, desk.picking, desk.page),
        DraftKeys(desk.page, desk.drafts, desk.commands),
    )
    return DraftBar(desk.page, desk.drafts, actions, keys, desk.model)


@pytest.mark.parametrize("variants", [1, 2, 4])
def test_which_of_several_drafts_is_told_from_the_first_frame_on_in_one_place(
    desk: Desk, bar: DraftBar, run: Run, variants: int
) -> None:
    desk.settings.change(variants=variants)
    seen: list[tuple[DraftState, str, tuple[int, int]]] = []

    def look() -> None:
        if bar.isVisible() and bar.variant.isVisible():
            ends = bar.previous.mapTo(bar, QPoint()).x(), bar.next.mapTo(bar, QPoint()).x()
            seen.append((desk.draft.state, bar.variant.text(), ends))

    desk.drafts.changed.connect(look)

    async def scenario() -> None:
        await desk.settled()
        for index in range(variants):
            desk.draft.show(index)

    run(scenario())
    if variants == 1:
        assert not seen
        return
    states, texts, ends = map(list, zip(*seen, strict=True))
    assert set(states) == {*DraftState} - {DraftState.ENDED}
    assert texts[-variants:] == [f"{number} of {variants}" for number in range(1, variants + 1)]
    assert len(set(ends)) == 1


@pytest.mark.parametrize(("most", "asked"), [(8, 4), (4, 4), (3, 3), (1, 1)])
def test_no_more_drafts_are_asked_for_than_the_engine_takes(
    desk: Desk, engine: ScriptedEngine, run: Run, most: int, asked: int
) -> None:
    engine.can = {"max_batch": most}
    desk.settings.change(variants=4)

    async def scenario() -> None:
        assert await desk.model.ensure_loaded()
        await desk.settled()

    run(scenario())
    assert [request.variants for request in engine.requests] == [asked]
    assert len(desk.texts) == asked


@pytest.mark.parametrize("width", [900, 560, 380, 330])
def test_what_ends_a_draft_is_never_cut_off(desk: Desk, bar: DraftBar, run: Run, width: int) -> None:
    desk.settings.change(variants=4)
    desk.page.resize(width, 500)
    run(desk.settled())
    QApplication.processEvents()
    assert desk.page.viewport().rect().contains(bar.geometry())
    for button in (bar.keep, bar.discard):
        assert button.isVisible()
        assert button.width() >= button.sizeHint().width()
    assert bar.retry.isVisible() or width < 560
    desk.page.resize(900, 500)
    QApplication.processEvents()
    assert bar.retry.isVisible()
    assert bar.ask.isVisible()


def test_how_far_a_long_text_is_read_is_told_until_the_first_step(
    desk: Desk, bar: DraftBar, engine: ScriptedEngine, run: Run
) -> None:
    told: list[str] = []
    engine.reads_long = True

    def look() -> None:
        if not bar.label.isHidden():
            told.append(bar.label.text())

    desk.drafts.changed.connect(look)
    run(desk.settled())
    shares = [text.split()[-1] for text in dict.fromkeys(told)]
    assert [share for share in shares if "%" in share] == ["25%", "75%"]
    assert "%" not in shares[-1]


def test_how_far_a_slow_step_is_is_told(desk: Desk, bar: DraftBar, engine: ScriptedEngine, run: Run) -> None:
    told: list[str] = []
    engine.steps_long = True

    def look() -> None:
        if not bar.label.isHidden():
            told.append(bar.label.text())

    desk.drafts.changed.connect(look)
    run(desk.settled())
    assert [text for text in told if re.fullmatch(r"step \d+ of up to \d+ · 40%", text)]


def test_stop_stays_where_it_is_from_the_first_step_of_a_canvas_to_the_last(
    desk: Desk, bar: DraftBar, run: Run
) -> None:
    stops: dict[int, set[int]] = {0: set(), 1: set()}

    async def scenario() -> None:
        desk.commands.draft()
        await desk.state(DraftState.DENOISING)
        for canvas, step in itertools.product(stops, range(8, 13)):
            desk.draft.on_event(msgspec.structs.replace(frame("", step), canvas=canvas, max_steps=24))
            if layout := bar.layout():
                layout.activate()
            stops[canvas].add(bar.stop.x())
        desk.draft.discard()

    run(scenario())
    assert [len(seen) for seen in stops.values()] == [1, 1]


def test_a_settled_draft_is_to_be_checked(desk: Desk, bar: DraftBar, run: Run) -> None:
    seen: dict[DraftState, bool] = {}

    def look() -> None:
        if draft := desk.drafts.current:
            seen[draft.state] = bar.facts.isVisible()

    desk.drafts.changed.connect(look)
    run(desk.settled())
    assert seen == {DraftState.PREPARING: False, DraftState.DENOISING: False, DraftState.SETTLED: True}
