"""The steps of every draft are in the history, and are gone through in its drawer."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.drafting.draft_session import DraftState
from app.history import queries
from app.history.record import DraftRecord, VariantRecord
from app.history.replay.trace import Trace
from app.history.ui.drawer import HistoryDrawer
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.history.records import a_record
from tests.app.window.conftest import settle
from tests.fakes import STEPS, TEXT


async def until(reached: Callable[[], object]) -> None:
    while not reached():
        await asyncio.sleep(0.002)


async def open_drawer(window: MainWindow) -> HistoryDrawer:
    window.side_panel.open_history()
    drawer = window.side_panel.history_drawer
    await until(lambda: drawer.details.record)
    return drawer


async def trace_of(window: MainWindow, number: int, variant: int = 0) -> bytes:
    found: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    window.history.read(lambda database: queries.trace(database, number, variant), found.set_result)
    return await found


def test_each_variant_is_kept_with_its_steps(window: MainWindow, run: Run) -> None:
    window.settings.change(variants=2)

    async def scenario() -> None:
        await settle(window)
        for number in range(2):
            trace = Trace.decode(await trace_of(window, 1, number))
            assert trace.steps[-1].step == STEPS
            assert trace.text == TEXT

    run(scenario())


def test_what_was_stopped_is_kept_up_to_what_was_shown(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        drafts = window.view.drafts
        window.view.commands.draft_as_asked("endless")
        await until(lambda: drafts.current is not None and drafts.current.step >= 2)
        window.view.draft_actions.stop.trigger()
        assert drafts.state is DraftState.SETTLED
        assert drafts.current is not None
        trace = Trace.decode(await trace_of(window, 1))
        assert trace.steps[-1].step == drafts.current.step
        assert trace.text is None

    run(scenario())


def test_a_draft_of_the_history_is_replayed_in_place_of_its_text(
    window: MainWindow, run: Run, qtbot: QtBot
) -> None:
    async def scenario() -> None:
        await settle(window)
        before = window.view.page.text()
        window.view.drafts.discard_all()
        drawer = await open_drawer(window)
        details = drawer.details
        details.steps.click()
        await until(lambda: details.replay.replay)
        replay = details.replay.replay
        assert replay is not None
        assert replay.plays
        assert replay.last == STEPS
        assert details.replay.isVisible()
        assert not details.text.isVisible()
        timeline = details.replay.controls.timeline
        assert timeline.hasFocus()
        qtbot.keyClick(timeline, Qt.Key.Key_End)
        assert replay.index == STEPS
        qtbot.keyClick(timeline, Qt.Key.Key_Escape)
        assert details.text.isVisible()
        assert details.steps.hasFocus()
        assert drawer.isVisible()
        assert window.view.page.text() == before

    run(scenario())


def test_another_draft_shows_its_text(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        for _ in range(2):
            await settle(window)
            window.view.drafts.discard_all()
        drawer = await open_drawer(window)
        drawer.details.steps.click()
        await until(lambda: drawer.details.replay.replay)
        drawer.list.setCurrentIndex(drawer.drafts.index(1))
        await until(lambda: drawer.details.record and drawer.details.record.id == 1)
        assert drawer.details.replay.replay is None
        assert drawer.details.text.isVisible()

    run(scenario())


def with_trace(trace: bytes) -> DraftRecord:
    variants = (VariantRecord(text="He waved.", seed=1, trace=trace),)
    return msgspec.structs.replace(a_record("He waved."), variants=variants)


@pytest.mark.parametrize(
    "trace", [b"", b"junk", Trace().encode()[:-3], b"MZT\x09"], ids=["none", "junk", "cut off", "newer"]
)
def test_steps_that_cannot_be_shown_are_told(window: MainWindow, run: Run, trace: bytes) -> None:
    async def scenario() -> None:
        window.history.add(with_trace(trace))
        drawer = await open_drawer(window)
        assert window.notice.isHidden()
        drawer.details.steps.click()
        await until(lambda: window.notice.isVisible())
        assert window.notice.text
        assert drawer.details.replay.replay is None
        assert drawer.details.text.isVisible()

    run(scenario())
