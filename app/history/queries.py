"""What is asked of the history's database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from app.history.index import has_index
from app.history.record import COLUMNS, Asked, DraftRecord, DraftRow, VariantRecord
from app.history.search_words import like_of, match_of
from engine.protocol.events import Stats

if TYPE_CHECKING:
    import sqlite3  # the first paint does not need it

ROWS = 50
"""That are read at once."""
_BEGIN_CHARACTERS = 400
_ROW = f"""SELECT d.id, d.at, d.name, d.verb, d.instruction, d.kept IS NOT NULL, v.stats IS NULL,
    substr(v.text, 1, {_BEGIN_CHARACTERS})
    FROM {{source}} JOIN variants v ON v.draft = d.id AND v.number = coalesce(d.kept, 0)
    WHERE {{condition}} ORDER BY {{key}} DESC LIMIT {ROWS}"""
_LIKE = """(d.name || char(10) || d.verb || char(10) || d.instruction LIKE :like ESCAPE '\\' OR EXISTS
    (SELECT 1 FROM variants w WHERE w.draft = d.id AND w.text LIKE :like ESCAPE '\\'))"""


def rows(database: sqlite3.Connection, query: str = "", before: int | None = None) -> list[DraftRow]:
    """The newest drafts that the query finds, the newest first. before: those older than that one."""
    match = match_of(query) if has_index(database) else ""
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
    found = database.execute(
        f"SELECT asked, {', '.join(COLUMNS)} FROM drafts WHERE id = ?", (number,)
    ).fetchone()
    if found is None:
        return None
    variants = database.execute(
        "SELECT text, seed, stats FROM variants WHERE draft = ? ORDER BY number", (number,)
    )
    fields = dict(zip(COLUMNS, found[1:], strict=True))
    return DraftRecord(**fields, asked=Asked.unpacked(found[0]), variants=tuple(_variants(variants)))


def trace(database: sqlite3.Connection, number: int, variant: int) -> bytes:
    """Of that variant of that draft; empty if there is none."""
    found = database.execute(
        "SELECT trace FROM variants WHERE draft = ? AND number = ?", (number, variant)
    ).fetchone()
    return bytes(found[0] or b"") if found else b""


def count(database: sqlite3.Connection) -> tuple[int, int]:
    """How many drafts there are, and the bytes that they take."""
    (drafts,) = database.execute("SELECT count(*) FROM drafts").fetchone()
    return drafts, used_bytes(database)


def used_bytes(database: sqlite3.Connection) -> int:
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return int((pages - free) * size)


def _variants(found: Iterable[tuple[str, int, str | None]]) -> Iterator[VariantRecord]:
    for text, seed, stats in found:
        yield VariantRecord(
            text=text, seed=seed, stats=msgspec.json.decode(stats, type=Stats) if stats else None
        )
