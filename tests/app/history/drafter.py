"""Drafts in a real window until it is killed; tells each draft that has settled, a line each.

`python -m tests.app.history.drafter FOLDER [KILLS]` starts it again and again, with its data in FOLDER,
kills it at random moments, and tells what was lost.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from random import Random

from app.history.queries import count as count_drafts
from app.history.queries import rows
from app.history.schema import database_path, open_database

ROOT = Path(__file__).resolve().parents[3]
LATEST_S = 0.5
"""The latest moment, after the first draft."""


def draft_on_and_on() -> None:
    import qasync

    from app.application import make_application
    from app.documents.recovery import RecoveryStore
    from app.drafting.draft_session import DraftState
    from app.settings.store import SettingsStore, default_path
    from app.window.main_window import MainWindow
    from app.worker.engine_thread import EngineThread
    from tests.fakes import FakeEngine

    application = make_application(["mezzotint"])
    worker = EngineThread(FakeEngine)
    with qasync.QEventLoop(application) as loop:
        window = MainWindow(SettingsStore(default_path()), worker, RecoveryStore())
        window.show()
        worker.start()

        async def draft() -> None:
            for number in count():
                window.view.commands.draft()
                while window.view.drafts.state is not DraftState.SETTLED:
                    await asyncio.sleep(0.001)
                print(number, flush=True)
                act = window.view.commands.keep if number % 2 else window.view.drafts.discard_all
                act()

        loop.run_until_complete(draft())


def lost_by_kills(home: Path, moments_s: Iterable[float]) -> list[int]:
    """How many drafts that had settled are lost after each kill. Raises sqlite3.Error where the history
    cannot be read then.
    """
    folders = {f"XDG_{name}_HOME": str(home / name) for name in ("CONFIG", "DATA", "CACHE", "STATE")}
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", **folders}
    path = database_path(home / "DATA" / "mezzotint" / "history")
    before, lost = 0, []
    for moment_s in moments_s:
        drafter = subprocess.Popen(
            [sys.executable, "-m", "tests.app.history.drafter"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert drafter.stdout
        first = drafter.stdout.readline()
        try:
            drafter.wait(moment_s)
        except subprocess.TimeoutExpired:
            drafter.kill()
        settled = len([first, *drafter.communicate()[0].splitlines(keepends=True)])
        database = open_database(path)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        now, _ = count_drafts(database)
        assert rows(database, "rained") == rows(database)
        database.close()
        lost.append(settled - (now - before))
        before = now
    return lost


if __name__ == "__main__":
    if sys.argv[1:]:
        random, kills = Random(1), int(sys.argv[2]) if sys.argv[2:] else 200
        lost = lost_by_kills(Path(sys.argv[1]), (random.uniform(0, LATEST_S) for _ in range(kills)))
        print(f"{kills} kills; lost after each: at most {max(lost)}; {sum(n > 0 for n in lost)} lost any")
    else:
        draft_on_and_on()
