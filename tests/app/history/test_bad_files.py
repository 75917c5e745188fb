"""A database that is broken, foreign, newer, in use by another window, or whose disk is full."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.history.changes import add, mark_kept
from app.history.queries import record, rows
from app.history.record import HistoryError
from app.history.schema import VERSION, version_of
from tests.app.history.conftest import History
from tests.app.history.records import a_record

ROOT = Path(__file__).resolve().parents[3]
WRITER = """
import sys
from pathlib import Path
from app.history.changes import add, mark_kept
from app.history.schema import database_path, open_database
from tests.app.history.records import a_record

database = open_database(database_path(Path(sys.argv[1])))
for number in range(40):
    add(database, a_record(f"{sys.argv[2]} {number}.", request_id=f"{sys.argv[2]}{number}"))
"""


def texts(history: History) -> list[str]:
    return [row.text for row in history(rows)]


@pytest.mark.parametrize(
    "data",
    [b"no database", b"SQLite format 3\0" + bytes(5000), b"\xff" * 10_000],
    ids=["text", "head", "junk"],
)
def test_a_broken_database_is_kept_aside_and_told_once(
    history: History, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    history.path.parent.mkdir()
    history.path.write_bytes(data)
    for text in ("One.", "Two."):
        history(add, a_record(text))
    assert texts(history) == ["Two.", "One."]
    assert [fault.kind for fault in history.told] == ["history"]
    kept = next(history.folder.glob("*.unreadable"))
    assert kept.read_bytes() == data
    assert kept.name in history.told[0].remedy
    caplog.clear()


def test_a_database_that_breaks_while_it_is_used_is_kept_aside(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        history(add, a_record(f"Draft {number}. " + "word " * 500, request_id=str(number)))
    history.keeper.close()
    size = history.path.stat().st_size
    with history.path.open("r+b") as file:
        for page in range(2 * 4096, size, 4096):
            file.seek(page)
            file.write(b"\xa5" * 1000)
    history(add, a_record("The next one."))
    assert texts(history) == ["The next one."]
    assert len(history.told) == 1
    caplog.clear()


def test_a_database_of_something_else_is_kept_aside(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    history.path.parent.mkdir()
    with sqlite3.connect(history.path) as database:
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("CREATE TABLE songs (title)")
    database.close()
    history(add, a_record("One."))
    assert texts(history) == ["One."]
    assert len(history.told) == 1
    caplog.clear()


def test_a_newer_database_stays_as_it_is_and_another_one_is_used(history: History) -> None:
    history(add, a_record("Of this version."))
    history.keeper.close()
    with sqlite3.connect(history.path) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    before = history.path.read_bytes()
    assert version_of(history.path) == VERSION + 1
    later = History(history.folder)
    later(add, a_record("One."))
    assert texts(later) == ["One."]
    assert later.told == []
    later.keeper.close()
    again = History(history.folder)
    assert texts(again) == ["One."]
    again.keeper.close()
    assert history.path.read_bytes() == before


def test_two_windows_write_at_once(history: History) -> None:
    """Both begin the database, too."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(history.folder), name], cwd=ROOT) for name in "ab"
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    found = history(rows) + history(rows, before=history(rows)[-1].id)
    assert {row.text for row in found} == {f"{name} {number}." for name in "ab" for number in range(40)}
    assert history.told == []


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Which is what a full disk looks like."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_on_a_full_disk_it_is_told_once_and_goes_on_when_there_is_room(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    history(add, a_record("One."))
    with no_file_larger_than(history.path.with_name(f"{history.path.name}-wal").stat().st_size):
        for text in ("Two. " + "word " * 20_000, "Three. " + "word " * 20_000):
            with pytest.raises(HistoryError):
                history(add, a_record(text))
            history(mark_kept, "nobody's", 1)
            assert texts(history) == ["One."]
        assert len(history.told) == 1
    history(add, a_record("Four."))
    assert texts(history) == ["Four.", "One."]
    assert len(history.told) == 1
    caplog.clear()


def test_where_there_can_be_no_folder_it_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    history = History(tmp_path / "file" / "history")
    for _ in range(2):
        with pytest.raises(HistoryError):
            history(add, a_record("One."))
    assert len(history.told) == 1
    caplog.clear()


def test_nobody_else_may_read_it(history: History) -> None:
    history(add, a_record("One."))
    modes = {file.stat().st_mode & 0o077 for file in [history.folder, *history.folder.iterdir()]}
    assert modes == {0}


def test_what_cannot_be_read_of_a_draft_is_told(history: History, caplog: pytest.LogCaptureFixture) -> None:
    history(add, a_record("One."))
    history(lambda database: database.execute("UPDATE drafts SET asked = x'00'"))
    with pytest.raises(HistoryError):
        history(record, 1)
    assert texts(history) == ["One."]
    assert len(history.told) == 1
    caplog.clear()
