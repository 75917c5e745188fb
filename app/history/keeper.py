"""The HistoryKeeper: opens the history's database when it is needed, and sets aside one that is broken."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeVar

from app.history.changes import SET_ASIDE
from app.history.record import HistoryError
from app.history.schema import VERSION, NewerHistoryError, database_path, history_folder, open_database
from engine.protocol.errors import Fault, reason_of

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = logging.getLogger(__name__)


class HistoryKeeper:
    """For one thread. tell: called with what went wrong, once until something can be written again."""

    def __init__(self, folder: Path | None, tell: Callable[[Fault], object]) -> None:
        self._path = database_path(folder or history_folder())
        self._tell = tell
        self._database: sqlite3.Connection | None = None
        self._is_failing = False

    def run(self, job: Job[T]) -> T:
        """Raises HistoryError."""
        try:
            try:
                return self._done(job)
            except sqlite3.DatabaseError as error:
                if not _is_broken(error):
                    raise
                self._set_aside(error)
                return self._done(job)
        except (sqlite3.Error, OSError, ValueError) as error:
            _log.error("The history in %s could not be used: %s", self._path, error)
            if not self._is_failing:
                self._is_failing = True
                told = f"The history of your drafts cannot be kept now: {_reason(error)}."
                self._tell(Fault("history", told, "Your text and the draft in it are untouched."))
            raise HistoryError from error

    def _done(self, job: Job[T]) -> T:
        database = self._opened()
        before = database.total_changes
        done = job(database)
        self._is_failing = self._is_failing and database.total_changes == before
        return done

    @property
    def is_there(self) -> bool:
        return self._path.exists()

    def close(self) -> None:
        if self._database:
            self._database.close()
            self._database = None

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            try:
                self._database = open_database(self._path)
            except NewerHistoryError:
                _log.info("The history %s is a newer version’s; another one is begun.", self._path)
                self._path = self._path.with_name(f"history-{VERSION}.sqlite")
                self._database = open_database(self._path)
        return self._database

    def _set_aside(self, error: sqlite3.Error) -> None:
        """What cannot be read is never written over."""
        _log.warning("The history %s could not be read: %s", self._path, error)
        self.close()
        kept = _free_name(self._path)
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):  # another window was faster
                Path(f"{self._path}{ending}").rename(f"{kept}{ending}")
        told = "The history of your drafts could not be read; a new one begins."
        self._tell(Fault("history", told, f"The old one is kept as {kept.name} in {kept.parent}."))


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    """Not that it is locked, or that the disk is full."""
    code = getattr(error, "sqlite_errorcode", None)
    return type(error) is sqlite3.DatabaseError and (code is None or code & 0xFF in _BROKEN)


def _reason(error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return "the disk is full" if code == sqlite3.SQLITE_FULL else reason_of(error)[0]


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}{SET_ASIDE}{n or ''}") for n in count())
    return next(name for name in names if not os.path.lexists(name))
