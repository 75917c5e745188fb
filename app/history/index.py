"""The index of the words that drafts are found by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.history.search_words import indexed

if TYPE_CHECKING:
    import sqlite3  # the first paint does not need it

_MERGED_PAGES = 500


def has_index(database: sqlite3.Connection) -> bool:
    """Whether this SQLite has one."""
    return database.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None


def index(database: sqlite3.Connection, most: int = 1000) -> bool:
    """Put drafts into the index that are not yet → whether all are now. Part of a transaction."""
    if not has_index(database):
        return True
    found = database.execute("SELECT id FROM drafts WHERE NOT is_indexed LIMIT ?", (most,)).fetchall()
    for (number,) in found:
        database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, _words(database, number)))
        database.execute("UPDATE drafts SET is_indexed = 1 WHERE id = ?", (number,))
    return len(found) < most


def unindex(database: sqlite3.Connection, number: int) -> None:
    found = database.execute("SELECT is_indexed FROM drafts WHERE id = ?", (number,)).fetchone()
    if found == (1,) and has_index(database):
        deletes = "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)"
        database.execute(deletes, (number, _words(database, number)))


def forget_words(database: sqlite3.Connection) -> None:
    """Nothing more of what was deleted is in it."""
    if has_index(database):
        pages, before = -_MERGED_PAGES, -2
        while database.total_changes - before > 1:  # as SQLite tells that there is nothing left to merge
            before = database.total_changes
            database.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
            pages = _MERGED_PAGES


def _words(database: sqlite3.Connection, number: int) -> str:
    """What a draft is found by."""
    told = database.execute("SELECT name, verb, instruction FROM drafts WHERE id = ?", (number,)).fetchone()
    texts = database.execute("SELECT text FROM variants WHERE draft = ? ORDER BY number", (number,))
    return indexed("\n".join([*told, *(text for (text,) in texts)]))
