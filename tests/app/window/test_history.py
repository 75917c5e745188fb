"""What was drafted in a window is in its history, and stays there."""

import asyncio

from app.history.queries import rows
from app.history.record import DraftRow
from app.history.store import HistoryStore
from tests.app.conftest import Run
from tests.app.window.conftest import Open, settle
from tests.fakes import TEXT as DRAFT


async def stored(store: HistoryStore) -> list[DraftRow]:
    """All that is in it, the newest first."""
    found: asyncio.Future[list[DraftRow]] = asyncio.get_running_loop().create_future()
    store.read(rows, found.set_result)
    return await found


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
