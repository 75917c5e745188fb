"""What changes the history's database. Each call is one transaction."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from app.history.index import forget_words, has_index, index, unindex
from app.history.queries import count
from app.history.record import COLUMNS, DraftRecord
from app.history.transaction import transaction
from engine.protocol.events import Stats

if TYPE_CHECKING:
    import sqlite3  # the first paint does not need it

SET_ASIDE = ".unreadable"
"""In the name of a database that was broken."""
_AT_ONCE = 50
_LEFT_SHARE = 0.9
"""Of the room that drafts may take, once they have taken more."""


def add(database: sqlite3.Connection, record: DraftRecord) -> None:
    names = COLUMNS[1:]
    values = [getattr(record, name) for name in names]
    places = ", ".join("?" * (len(names) + 2))
    with transaction(database):
        made = database.execute(
            f"INSERT INTO drafts ({', '.join(names)}, request_id, asked) VALUES ({places})",
            (*values, record.asked.request.request_id, record.asked.packed()),
        )
        database.executemany(
            "INSERT INTO variants (draft, number, seed, text, stats, trace) VALUES (?, ?, ?, ?, ?, ?)",
            (
                (made.lastrowid, number, one.seed, one.text, _encoded(one.stats), one.trace or None)
                for number, one in enumerate(record.variants)
            ),
        )
        index(database)


def mark_kept(database: sqlite3.Connection, request_id: str, seed: int) -> None:
    """The variant of that request that has that seed."""
    with transaction(database):
        database.execute(
            "UPDATE drafts SET kept = (SELECT number FROM variants WHERE draft = id AND seed = :seed) WHERE "
            "request_id = :request AND EXISTS (SELECT 1 FROM variants WHERE draft = id AND seed = :seed)",
            {"request": request_id, "seed": seed},
        )


def name_document(database: sqlite3.Connection, document_id: str, path: str, name: str) -> None:
    """A text that had no file has one now: it is found by that name too."""
    with transaction(database):
        unnamed = "document_id = ? AND path = ''"
        for (number,) in database.execute(
            f"SELECT id FROM drafts WHERE {unnamed}", (document_id,)
        ).fetchall():
            unindex(database, number)
        database.execute(
            f"UPDATE drafts SET path = ?, name = ?, is_indexed = 0 WHERE {unnamed}", (path, name, document_id)
        )
        index(database)


def delete(database: sqlite3.Connection, number: int) -> None:
    """With its traces. Its words are in the index until forget()."""
    with transaction(database):
        _delete(database, number)


def first_to_stay(database: sqlite3.Connection, oldest: str, most_bytes: int) -> int:
    """The id of the first draft that is young enough (UTC, ISO 8601), and not too much on the disk. The order
    is that of the ids: a clock that was set back makes no draft old.
    """
    young = "SELECT id FROM drafts WHERE at >= ? ORDER BY id LIMIT 1"
    first = f"SELECT coalesce(({young}), (SELECT max(id) + 1 FROM drafts), 0)"
    (first_young,) = database.execute(first, (oldest,)).fetchone()
    drafts, size = count(database)
    too_many = ceil(drafts * (1 - _LEFT_SHARE * most_bytes / size)) if size > most_bytes else 0
    nth = database.execute("SELECT id FROM drafts ORDER BY id LIMIT 1 OFFSET ?", (too_many,)).fetchone()
    return max(int(first_young), nth[0] if nth else 0)


def delete_before(database: sqlite3.Connection, first: int) -> bool:
    """A few of the drafts with lower ids → whether there may be more."""
    with transaction(database):
        old = f"SELECT id FROM drafts WHERE id < ? ORDER BY id LIMIT {_AT_ONCE}"
        found = database.execute(old, (first,)).fetchall()
        for (number,) in found:
            _delete(database, number)
    return bool(found)


def forget(database: sqlite3.Connection) -> None:
    """Nothing of what was deleted is in a file any more."""
    forget_words(database)
    database.executescript("PRAGMA incremental_vacuum")  # execute() would give one page back
    _empty_log(database)


def delete_all(database: sqlite3.Connection) -> None:
    """Nothing is left in the files, nor of those that could not be read. Raises OSError where another window
    holds parts of it.
    """
    with transaction(database):
        database.execute("DELETE FROM variants")
        database.execute("DELETE FROM drafts")
        if has_index(database):
            database.execute("INSERT INTO words (words) VALUES ('delete-all')")
    _empty_log(database)
    database.execute("VACUUM")
    _empty_log(database)
    path = Path(database.execute("PRAGMA database_list").fetchone()[2])
    for file in path.parent.glob(f"{path.name}{SET_ASIDE}*"):
        file.unlink(missing_ok=True)


def _empty_log(database: sqlite3.Connection) -> None:
    """What was overwritten is in no file any more."""
    is_busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise OSError("another window is reading it")


def _delete(database: sqlite3.Connection, number: int) -> None:
    unindex(database, number)
    database.execute("DELETE FROM drafts WHERE id = ?", (number,))


def _encoded(stats: Stats | None) -> str | None:
    return msgspec.json.encode(stats).decode() if stats else None
