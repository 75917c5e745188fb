"""What is asked of the history's database, in SQL. Each call is one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from app.history.record import Asked, DraftRecord, DraftRow, VariantRecord
from app.history.search_words import indexed, like_of, match_of
from engine.protocol.events import Stats

if TYPE_CHECKING:
    import sqlite3  # the first paint does not need it

ROWS = 50
"""That are read at once."""
_BEGIN_CHARACTERS = 400
_COLUMNS = "id, at, document_id, path, name, place, verb, instruction, model, precision, device, kept"
_ROW = f"""SELECT d.id, d.at, d.name, d.verb, d.instruction, d.kept IS NOT NULL, v.stats IS NULL,
    substr(v.text, 1, {_BEGIN_CHARACTERS})
    FROM {{source}} JOIN variants v ON v.draft = d.id AND v.number = coalesce(d.kept, 0)
    WHERE {{condition}} ORDER BY {{key}} DESC LIMIT {ROWS}"""
_LIKE = """(d.name LIKE :like ESCAPE '\\' OR d.instruction LIKE :like ESCAPE '\\' OR EXISTS
    (SELECT 1 FROM variants w WHERE w.draft = d.id AND w.text LIKE :like ESCAPE '\\'))"""


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.in_transaction:  # a full disk has rolled it back already
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


# ------------------------------------------------------------------ write


def add(database: sqlite3.Connection, record: DraftRecord) -> None:
    names = _COLUMNS.split(", ")[1:]
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


def index(database: sqlite3.Connection, most: int = 1000) -> bool:
    """Put drafts into the index that are not yet → whether all are now. Part of a transaction."""
    if not _has_index(database):
        return True
    found = database.execute("SELECT id FROM drafts WHERE NOT is_indexed LIMIT ?", (most,)).fetchall()
    for (number,) in found:
        database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, _words(database, number)))
        database.execute("UPDATE drafts SET is_indexed = 1 WHERE id = ?", (number,))
    return len(found) < most


def _has_index(database: sqlite3.Connection) -> bool:
    """Whether this SQLite has one."""
    return database.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None


def _words(database: sqlite3.Connection, number: int) -> str:
    """What a draft is found by."""
    told = database.execute("SELECT name, instruction FROM drafts WHERE id = ?", (number,)).fetchone()
    texts = database.execute("SELECT text FROM variants WHERE draft = ? ORDER BY number", (number,))
    return indexed("\n".join([*told, *(text for (text,) in texts)]))


# ------------------------------------------------------------------ read


def rows(database: sqlite3.Connection, query: str = "", before: int | None = None) -> list[DraftRow]:
    """The newest drafts that the query finds, the newest first. before: those older than that one."""
    match = match_of(query) if _has_index(database) else ""
    source, key = (
        ("words JOIN drafts d ON d.id = words.rowid", "words.rowid") if match else ("drafts d", "d.id")
    )
    conditions = ["words MATCH :match"] if match else [_LIKE] if query.strip() else []
    conditions += [f"{key} < :before"] if before is not None else []
    statement = _ROW.format(source=source, key=key, condition=" AND ".join(conditions) or "1")
    found = database.execute(statement, {"match": match, "like": like_of(query), "before": before})
    return [DraftRow.of(columns) for columns in found]


def record(database: sqlite3.Connection, number: int) -> DraftRecord | None:
    """Without its traces; None if it is no longer there. Raises ValueError where it cannot be read."""
    found = database.execute(f"SELECT asked, {_COLUMNS} FROM drafts WHERE id = ?", (number,)).fetchone()
    if found is None:
        return None
    variants = database.execute(
        "SELECT text, seed, stats FROM variants WHERE draft = ? ORDER BY number", (number,)
    )
    fields = dict(zip(_COLUMNS.split(", "), found[1:], strict=True))
    return DraftRecord(**fields, asked=Asked.unpacked(found[0]), variants=tuple(_variants(variants)))


def _variants(found: Iterable[tuple[str, int, str | None]]) -> Iterator[VariantRecord]:
    for text, seed, stats in found:
        yield VariantRecord(
            text=text, seed=seed, stats=msgspec.json.decode(stats, type=Stats) if stats else None
        )


def _encoded(stats: Stats | None) -> str | None:
    return msgspec.json.encode(stats).decode() if stats else None
