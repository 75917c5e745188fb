"""What was drafted in a window is in its history, and stays there."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from PySide6.QtGui import QTextCursor

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftState
from app.drafting.verbs import POLISH
from app.history import queries
from app.history.record import DraftRecord, DraftRow
from app.history.schema import history_folder
from app.history.store import HistoryStore
from app.settings.store import SettingsStore
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import TEXT, put_caret
from tests.app.window.conftest import Open, settle
from tests.fakes import TEXT as DRAFT
from tests.fakes import finished


@pytest.fixture
def chosen(qapp: object, tmp_path: Path) -> SettingsStore:
    """For windows that are opened later."""
    return SettingsStore(tmp_path / "settings.json")


async def stored(store: HistoryStore) -> list[DraftRow]:
    """All that is in it, the newest first."""
    found: asyncio.Future[list[DraftRow]] = asyncio.get_running_loop().create_future()
    store.read(queries.rows, found.set_result)
    return await found


async def records(store: HistoryStore) -> list[DraftRecord]:
    found: asyncio.Future[list[DraftRecord]] = asyncio.get_running_loop().create_future()
    store.read(_all_records, found.set_result)
    return await found


def _all_records(database: sqlite3.Connection) -> list[DraftRecord]:
    found = (queries.record(database, row.id) for row in queries.rows(database))
    return [record for record in found if record]


async def all_settled(window: MainWindow) -> None:
    while any(draft.state is not DraftState.SETTLED for draft in window.view.drafts.overlays):
        await asyncio.sleep(0.002)


def test_a_kept_and_a_discarded_draft_are_there_after_a_quit(open_window: Open, run: Run) -> None:
    window = open_window()
    run(settle(window))
    window.view.commands.keep()
    run(settle(window))
    window.view.page.document().setModified(False)
    window.close()
    later = open_window()

    async def scenario() -> None:
        found = await stored(later.history)
        assert [(row.text, bool(row.kept)) for row in found] == [(DRAFT, False), (DRAFT, True)]
        later.side_panel.open_history()
        drawer = later.side_panel.history_drawer
        while drawer.drafts.rowCount() < 2:
            await asyncio.sleep(0.002)
        assert drawer.drafts.rows == found

    run(scenario())


def test_all_that_is_told_of_a_draft_is_kept(window: MainWindow, run: Run) -> None:
    set_document_text(window.view.page.document(), TEXT)
    put_caret(window.view.page, TEXT.index("\n"))

    async def scenario() -> None:
        window.view.commands.draft_as_asked("make it rain")
        await all_settled(window)
        (found,) = await records(window.history)
        shown = window.view.drafts.current.shown  # type: ignore[union-attr]
        assert shown is not None
        assert TEXT[: TEXT.index("\n")].endswith(found.place)
        assert (found.name, found.path, found.verb) == ("Untitled", "", "Draft paragraph")
        assert (found.instruction, found.precision, found.device) == ("make it rain", "fp32", "CPU")
        (variant,) = found.variants
        assert (variant.text, variant.seed, variant.stats) == (shown.text, shown.seed, shown.stats)
        request = found.asked.request
        assert found.asked.prompt.startswith(request.places[0].before)
        assert request.places[0].before.startswith(TEXT[: TEXT.index("\n")])
        assert (request.seed, request.variants) == (shown.seed, 1)

    run(scenario())


def test_each_try_is_kept_with_all_its_variants(open_window: Open, chosen: SettingsStore, run: Run) -> None:
    chosen.change(variants=2)
    window = open_window()

    async def scenario() -> None:
        window.view.commands.draft()
        await all_settled(window)
        window.view.draft_actions.retry.trigger()
        await all_settled(window)
        window.view.draft_actions.next.trigger()
        window.view.commands.keep()
        later, first = await records(window.history)
        assert (len(later.variants), len(first.variants)) == (2, 2)
        assert (later.kept, first.kept) == (1, None)
        assert len({variant.seed for record in (later, first) for variant in record.variants}) == 4

    run(scenario())


def test_a_draft_that_was_stopped_is_kept_as_far_as_it_was(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window.view.commands.draft_as_asked("endless")
        draft = window.view.drafts.current
        assert draft is not None
        while draft.step == 0:
            await asyncio.sleep(0.002)
        window.view.draft_actions.stop.trigger()
        (row,) = await stored(window.history)
        assert (row.text, bool(row.stopped), bool(row.kept)) == (draft.text, True, False)

    run(scenario())


def test_a_variant_that_had_finished_when_its_draft_was_discarded_is_kept(
    open_window: Open, chosen: SettingsStore, run: Run
) -> None:
    chosen.change(variants=2)
    window = open_window()

    async def scenario() -> None:
        window.view.commands.draft_as_asked("endless")
        draft = window.view.drafts.current
        assert draft is not None
        assert draft.request_id is not None
        while draft.step == 0:
            await asyncio.sleep(0.002)
        draft.on_event(finished(draft.request_id, variant=1))
        window.view.draft_actions.discard.trigger()
        assert [row.text for row in await stored(window.history)] == [DRAFT]
        assert window.view.draft_actions.bring_back.isEnabled()

    run(scenario())


def test_rewrites_and_gaps_are_kept(window: MainWindow, run: Run) -> None:
    page = window.view.page
    set_document_text(page.document(), "It rained.\n\nThey [[waited]] there. Then [[left]].\n")

    async def scenario() -> None:
        window.view.draft_actions.gaps.trigger()
        await all_settled(window)
        window.view.drafts.discard_all()
        cursor = QTextCursor(page.document())
        cursor.setPosition(10, QTextCursor.MoveMode.KeepAnchor)
        page.setTextCursor(cursor)
        window.view.commands.redraft_selection(POLISH)
        await all_settled(window)
        rewrite, *gaps = await records(window.history)
        assert (rewrite.verb, len(rewrite.variants)) == ("Polish", len(POLISH.length_shares))
        assert [gap.verb for gap in gaps] == ["Fill", "Fill"]
        assert [gap.instruction for gap in gaps] == ["left", "waited"]
        seeds = {(gap.asked.request.seed, gap.variants[0].seed) for gap in gaps}
        assert len(seeds) == 2
        assert all(seed == of_variant for seed, of_variant in seeds)

    run(scenario())


def test_what_is_brought_back_and_kept_is_told_as_kept(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(window)
        window.view.draft_actions.discard.trigger()
        assert [bool(row.kept) for row in await stored(window.history)] == [False]
        window.view.draft_actions.bring_back.trigger()
        window.view.commands.keep_sentence()
        assert [bool(row.kept) for row in await stored(window.history)] == [True]
        window.view.commands.keep()
        assert len(await stored(window.history)) == 1

    run(scenario())


def test_with_the_switch_off_nothing_is_kept(open_window: Open, chosen: SettingsStore, run: Run) -> None:
    chosen.change(history=False)
    window = open_window()
    run(settle(window))
    window.view.commands.keep()
    run(settle(window))
    window.view.draft_actions.discard.trigger()
    assert not history_folder().exists()


def test_drafts_of_an_unnamed_text_get_its_name(window: MainWindow, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        await settle(window)
        window.view.commands.keep()
        assert [row.name for row in await stored(window.history)] == ["Untitled"]
        for name in ("ferry.md", "copy.md"):
            window.files.save_to(tmp_path / name)
            await settle(window)
            window.view.commands.keep()
        (tmp_path / "ferry.md").unlink()
        assert [row.name for row in await stored(window.history)] == ["copy.md", "ferry.md", "ferry.md"]
        window.files.new()
        window.view.page.document().setModified(False)
        window.files.new()
        await settle(window)
        assert [row.name for row in await stored(window.history)][:2] == ["Untitled", "copy.md"]

    run(scenario())


def test_a_long_text_is_kept_only_as_far_as_the_model_read_it(window: MainWindow, run: Run) -> None:
    behind = "after " * 200_000
    set_document_text(window.view.page.document(), f"Before.{behind}")
    put_caret(window.view.page, 7)

    async def scenario() -> None:
        await settle(window)
        (found,) = await records(window.history)
        assert len(found.asked.request.places[0].after) < 10_000

    run(scenario())


@pytest.mark.parametrize("data", [b"no database"])
def test_a_history_that_is_broken_costs_no_draft(
    window: MainWindow, run: Run, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    history_folder().mkdir(parents=True)
    (history_folder() / "history.sqlite").write_bytes(data)

    async def scenario() -> None:
        await settle(window)
        assert [row.text for row in await stored(window.history)] == [DRAFT]
        while window.notice.isHidden():
            await asyncio.sleep(0.002)
        assert ".unreadable" in window.notice.text

    run(scenario())
    caplog.clear()
