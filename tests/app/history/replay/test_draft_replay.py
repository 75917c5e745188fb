"""A settled draft shows how it developed, in its place; the text and the draft stay as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest

from app.drafting.draft_session import DraftState
from app.drafting.verbs import REPHRASE
from app.history.replay import tap as tap_module
from app.history.replay.draft_replay import NOT_KEPT
from app.window.document_view import NARROWEST_PX
from tests.app.conftest import Run
from tests.app.history.replay.conftest import Desk
from tests.app.pages import TEXT, Draft, put_caret

KEY = Qt.Key


def press(desk: Desk, *keys: Qt.Key) -> None:
    for key in keys:
        QTest.keyClick(desk.replay.bar.controls.timeline, key)


def test_it_plays_from_the_noise_to_the_settled_draft(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        settled = await desk.rested()
        desk.replay.open()
        assert desk.playing.plays
        assert desk.playing.index == 0
        await desk.until(lambda: not desk.playing.plays)
        assert desk.playing.index == desk.playing.last == 24
        press(desk, KEY.Key_Escape)
        assert desk.replay.replay is None
        assert await desk.rested() == settled

    run(scenario())


def test_each_step_is_drawn_as_it_was_while_the_draft_developed(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        desk.replay.open()
        press(desk, KEY.Key_Space)
        steps = (13, 6, 1)  # none of their words is marked as corrected
        shown = []
        for step in steps:
            desk.playing.go_to(step)
            shown.append(await desk.rested())
        trace, cursor = desk.playing.trace, QTextCursor(desk.draft.placement.cursor)
        geometry = desk.drafts.overlays[desk.draft].geometry
        lines, column = geometry.line_count, geometry.rect().toAlignedRect()
        desk.draft.discard()
        for step, picture in zip(steps, shown, strict=True):
            other = Draft(desk.page, cursor.position(), lines)
            other.overlay.show(trace.shown_at(step))
            assert (await desk.rested()).copy(column) == picture.copy(column)
            other.overlay.close()

    run(scenario())


def test_the_text_is_not_touched_and_the_page_holds_still(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        document, geometry = desk.page.document(), desk.drafts.overlays[desk.draft].geometry
        before = document.revision(), geometry.bar_top, desk.page.verticalScrollBar().maximum()
        desk.replay.open()
        press(desk, KEY.Key_Space)
        for step in (0, 8, 23):
            desk.playing.go_to(step)
            await desk.rested()
            now = document.revision(), geometry.bar_top, desk.page.verticalScrollBar().maximum()
            assert now == before
        desk.replay.close()
        assert desk.page.text() == TEXT
        assert not document.isUndoAvailable()

    run(scenario())


def test_keys_lead_through_the_steps(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        desk.replay.open()
        press(desk, KEY.Key_Space)
        assert not desk.playing.plays
        found = []
        for key in (KEY.Key_End, KEY.Key_Left, KEY.Key_Left, KEY.Key_Right, KEY.Key_Home, KEY.Key_Left):
            press(desk, key)
            found.append(desk.playing.index)
        assert found == [24, 23, 22, 23, 0, 0]
        press(desk, KEY.Key_Space)
        assert desk.playing.plays
        press(desk, KEY.Key_Right)
        assert not desk.playing.plays

    run(scenario())


def test_a_click_on_its_bar_leaves_the_keys_to_the_timeline(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        desk.replay.open()
        bar = desk.replay.bar
        for part in (bar.controls.play, bar.controls.back, bar.controls.label, bar):
            QTest.mouseClick(part, Qt.MouseButton.LeftButton, pos=part.rect().topLeft() + QPoint(2, 2))
            assert bar.controls.timeline.hasFocus()
            assert bar.isVisible()

    run(scenario())


def test_tab_goes_round_in_its_bar(desk: Desk, run: Run) -> None:
    """The draft's own buttons lie under it."""

    async def scenario() -> None:
        await desk.settled()
        desk.replay.open()
        bar, found = desk.replay.bar, []
        press(desk, KEY.Key_Space, KEY.Key_Right)
        for _ in range(8):
            focused = bar.focusWidget()
            assert focused is not None
            assert focused.hasFocus()
            found.append(focused)
            QTest.keyClick(focused, KEY.Key_Tab)
        controls = bar.controls
        assert {controls.timeline, controls.play, controls.back, controls.save, bar.done} <= set(found)

    run(scenario())


def test_in_a_narrow_page_all_but_the_legend_is_there(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        desk.replay.open()
        bar, found = desk.replay.bar, []
        for width in (900, NARROWEST_PX):
            desk.page.resize(width, 700)
            await desk.rested()
            found.append(bar.controls.legend.isVisible())
            view = desk.page.viewport().rect()
            assert view.contains(bar.geometry())
            parts = [bar.done, bar.controls.save, bar.controls.timeline, bar.controls.play]
            assert all(part.visibleRegion().boundingRect() == part.rect() for part in parts)
        assert found == [True, False]

    run(scenario())


def test_enter_keeps_nothing_that_is_not_shown(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        desk.replay.open()
        press(desk, KEY.Key_Return, KEY.Key_Tab)
        QTest.keyClick(desk.replay.bar.controls.timeline, KEY.Key_Return, Qt.KeyboardModifier.ControlModifier)
        assert desk.page.text() == TEXT
        assert desk.drafts.state is DraftState.SETTLED

    run(scenario())


def by_page(desk: Desk) -> None:
    desk.page.setFocus()


def by_click_on_the_draft(desk: Desk) -> None:
    place = desk.drafts.overlays[desk.draft].geometry.rect().center().toPoint()
    QTest.mouseClick(desk.page.viewport(), Qt.MouseButton.LeftButton, pos=place)


def by_button(desk: Desk) -> None:
    desk.replay.bar.done.click()


@pytest.mark.parametrize("leave", [by_page, by_click_on_the_draft, by_button])
def test_it_is_left(desk: Desk, run: Run, leave: Callable[[Desk], None]) -> None:
    async def scenario() -> None:
        await desk.settled()
        settled = await desk.rested()
        desk.replay.open()
        leave(desk)
        assert desk.replay.replay is None
        assert await desk.rested() == settled
        assert desk.draft.words is not None
        assert not desk.draft.words.pinned

    run(scenario())


def keep(desk: Desk) -> None:
    desk.commands.keep()


def discard(desk: Desk) -> None:
    desk.draft.discard()


def retry(desk: Desk) -> None:
    desk.draft.retry()


@pytest.mark.parametrize("do", [keep, discard, retry])
def test_what_is_done_with_the_draft_ends_it(desk: Desk, run: Run, do: Callable[[Desk], None]) -> None:
    async def scenario() -> None:
        await desk.settled()
        text = desk.variant.text
        desk.replay.open()
        press(desk, KEY.Key_Home)
        do(desk)
        assert desk.replay.replay is None
        assert desk.replay.bar.isHidden()
        assert (text in desk.page.text()) is (do is keep)
        desk.replay.close()

    run(scenario())


def test_each_variant_has_its_own(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        first = desk.variant
        desk.draft.retry()
        await desk.until(lambda: desk.drafts.state is DraftState.SETTLED)
        desk.replay.open()
        desk.draft.show(0)
        assert desk.replay.replay is None
        assert desk.variant is first
        desk.replay.open()
        assert desk.playing.trace == desk.tap.of(first)

    run(scenario())


def test_of_a_draft_that_was_stopped_it_shows_what_had_come(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        desk.commands.draft()
        await desk.until(lambda: desk.drafts.current is not None and desk.draft.step >= 3)
        desk.draft.stop()
        settled, step = await desk.rested(), desk.draft.step
        desk.replay.open()
        assert desk.playing.trace.steps[-1].step == step
        press(desk, KEY.Key_Home, KEY.Key_End)
        desk.replay.close()
        assert await desk.rested() == settled

    run(scenario())


def test_of_a_passage_that_is_drafted_anew(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        desk.draft.discard()  # the model is loaded, and so is known to draft one at a time
        passage = "Clara sat on her suitcase at the end of the pier"
        cursor = desk.page.textCursor()
        cursor.setPosition(TEXT.index(passage))
        cursor.setPosition(TEXT.index(passage) + len(passage), QTextCursor.MoveMode.KeepAnchor)
        desk.page.setTextCursor(cursor)
        desk.commands.redraft_selection(REPHRASE)
        await desk.until(lambda: desk.drafts.state is DraftState.SETTLED)
        settled = await desk.rested()
        desk.replay.open()
        press(desk, KEY.Key_Home)
        assert await desk.rested() != settled
        press(desk, KEY.Key_Escape)
        assert await desk.rested() == settled
        desk.replay.open()
        place = QTextCursor(desk.page.document())
        place.setPosition(TEXT.index("suitcase"))
        place.insertText("old ")  # the passage is the writer's now, and its draft goes
        assert desk.replay.replay is None
        assert desk.drafts.current is None

    run(scenario())


def test_the_text_around_it_may_change_meanwhile(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.settled()
        desk.replay.open()
        press(desk, KEY.Key_Home)
        place = QTextCursor(desk.page.document())
        place.insertText("A letter. ")
        await desk.rested()
        assert desk.playing.index == 0
        desk.replay.close()
        desk.commands.keep()
        assert desk.page.text().startswith("A letter. " + TEXT)

    run(scenario())


def test_with_reduced_motion_it_goes_step_by_step(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        desk.settings.change(reduced_motion="on")
        await desk.settled()
        settled = await desk.rested()
        desk.replay.open()
        press(desk, KEY.Key_Space)
        assert not desk.playing.plays
        assert desk.playing.index == desk.playing.last
        press(desk, KEY.Key_Home)
        assert desk.picture() != settled
        noise = desk.picture()
        assert await desk.rested() == noise  # at once, without a fade

    run(scenario())


def test_steps_that_are_no_longer_there_are_told(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(tap_module, "MOST_BYTES", 0)
        await desk.settled()
        desk.replay.open()
        assert desk.replay.replay is None
        assert desk.faults == [NOT_KEPT]

    run(scenario())


def test_only_what_an_engine_has_drafted_can_be_replayed(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        assert not desk.actions.replay.isEnabled()
        desk.replay.open()
        await desk.settled()
        assert desk.actions.replay.isEnabled()
        put_caret(desk.page, 0)
        desk.drafts.go_to_draft()
        desk.commands.keep_sentence()
        if desk.drafts.current is not None:  # what is left of it is no draft of the engine's
            assert not desk.actions.replay.isEnabled()

    run(scenario())
