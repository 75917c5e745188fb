"""Killed at random moments while it drafts, the app leaves a history that can be read, with every draft that
had settled but the one in flight. `python -m tests.app.history.drafter` tries many more moments.
"""

from pathlib import Path
from random import Random

from tests.app.history.drafter import LATEST_S, lost_by_kills

KILLS = 3


def test_killed_while_it_drafts_it_loses_at_most_the_draft_in_flight(tmp_path: Path) -> None:
    random = Random()
    lost = lost_by_kills(tmp_path, [random.uniform(0, LATEST_S) for _ in range(KILLS)])
    assert max(lost) <= 1
