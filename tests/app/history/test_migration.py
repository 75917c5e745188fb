"""A history that an earlier version wrote is read by this one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.history.changes import add
from app.history.queries import record, rows, trace
from app.history.schema import VERSION, version_of
from tests.app.history.conftest import History
from tests.app.history.records import a_record

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_a_history_of_each_version_is_read_whole(history: History, version: int) -> None:
    history.path.parent.mkdir()
    database = sqlite3.connect(history.path)
    database.executescript((GOLDEN / f"history-{version}.sql").read_text("utf-8"))
    database.close()
    assert version_of(history.path) == version
    (row,) = history(rows)
    assert (row.text, row.kept, row.stopped) == ("Émile read on 🦊.\n\n“So what?”", 1, 1)
    found = history(record, row.id)
    assert (found.name, found.path, found.model, found.kept) == (
        "ferry.md",
        "/home/clara/ferry.md",
        "Starter",
        1,
    )
    assert [variant.seed for variant in found.variants] == [2**63 - 1, 0]
    assert found.variants[0].stats is not None
    assert found.variants[0].stats.steps == 3
    assert found.asked.request.places[0].before == "The ferry was late again. "
    assert found.asked.cut_chars == 12
    assert history(trace, row.id, 1) == b"\0\1trace"
    assert history(rows, "ém") == [row]
    history(add, a_record("The next one."))
    assert history.told == []
    assert version_of(history.path) == VERSION


def test_a_new_history_has_this_version(history: History) -> None:
    history(rows)
    assert version_of(history.path) == VERSION
