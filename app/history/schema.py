"""The history's database: its tables, their versions, and how one is opened.

A process that dies loses nothing that was committed. A power cut may take the last transactions along, since
not each of them waits for the disk; the database is whole all the same.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import platformdirs

from app.history.index import has_index, index
from app.history.search_words import TOKENIZER
from app.history.transaction import transaction

BUSY_S = 30.0
"""How long to wait for another window that writes."""
_MIGRATIONS = (
    """
    CREATE TABLE drafts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        request_id TEXT NOT NULL,
        at TEXT NOT NULL,
        document_id TEXT NOT NULL,
        path TEXT NOT NULL,
        name TEXT NOT NULL,
        place TEXT NOT NULL,
        verb TEXT NOT NULL,
        instruction TEXT NOT NULL,
        model TEXT NOT NULL,
        precision TEXT NOT NULL,
        device TEXT NOT NULL,
        kept INTEGER,
        is_indexed INTEGER NOT NULL DEFAULT 0,
        asked BLOB NOT NULL
    );
    CREATE INDEX of_request ON drafts (request_id);
    CREATE INDEX of_document ON drafts (document_id);
    CREATE INDEX not_indexed ON drafts (id) WHERE NOT is_indexed;
    CREATE TABLE variants (
        draft INTEGER NOT NULL REFERENCES drafts ON DELETE CASCADE,
        number INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        text TEXT NOT NULL,
        stats TEXT,
        trace BLOB,
        PRIMARY KEY (draft, number)
    );
    """,
)
"""From each version to the next; one that was in a release never changes."""
VERSION = len(_MIGRATIONS)
_MOST_LOG_BYTES = 4_000_000
_TABLES = {"drafts", "variants"}
_WORDS = f"""CREATE VIRTUAL TABLE IF NOT EXISTS words
    USING fts5(text, content='', columnsize=0, prefix='1 2', tokenize="{TOKENIZER}")"""


class NewerHistoryError(Exception):
    """A newer version's database: it stays as it is."""


def history_folder() -> Path:
    return platformdirs.user_data_path("mezzotint") / "history"


def database_path(folder: Path) -> Path:
    return folder / "history.sqlite"


def version_of(path: Path) -> int:
    """Of a database; 0 where that cannot be told."""
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0
    try:
        return int(database.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        database.close()


def open_database(path: Path) -> sqlite3.Connection:
    """Brought to this version. Raises NewerHistoryError, and sqlite3.Error for one that cannot be read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # what is drafted is nobody else's to read
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        if _version(database) > VERSION:
            raise NewerHistoryError
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")  # holds for a database that is empty
        _log_ahead(database)
        database.execute(f"PRAGMA journal_size_limit = {_MOST_LOG_BYTES}")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA temp_store = MEMORY")
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _log_ahead(database: sqlite3.Connection) -> None:
    """In WAL mode from now on. For that SQLite does not wait where another window begins the database too."""
    ends = time.monotonic() + BUSY_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(0.01)


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _migrate(database: sqlite3.Connection) -> None:
    """Wholly or not at all; another window may do it at the same time."""
    with transaction(database):
        version = _version(database)
        if version > VERSION:
            raise NewerHistoryError
        former = _tables(database)
        for script in _MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                database.execute(statement)
        if (former and version == 0) or not _tables(database) >= _TABLES:
            raise sqlite3.DatabaseError("it is no history of drafts")
        _complete_index(database)
        database.execute(f"PRAGMA user_version = {VERSION}")


def _tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _complete_index(database: sqlite3.Connection) -> None:
    """Of what was drafted where SQLite had no index, too."""
    if has_index(database):
        database.execute(_WORDS)
        while not index(database):
            continue
