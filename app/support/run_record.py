"""The record of a run: gone once it ends in order; one that is left tells of a crash."""

from __future__ import annotations

import faulthandler
import logging
import secrets
import traceback
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

from PySide6.QtCore import QLockFile

from app.documents.atomic_file import read_ordinary
from app.documents.files import held_lock

_RECORD, _LOCK = ".run", ".lock"
_log = logging.getLogger(__name__)


class LostRun(NamedTuple):
    """What a run that did not end in order has left."""

    written_at: float
    """When it began or, where it left a stack, when it ended; in seconds since 1970."""
    stack: str
    """Of every thread; empty where the run was killed."""

    @property
    def end(self) -> Literal["crash", "error", "killed"]:
        if not self.stack:
            return "killed"
        return "error" if "Traceback (most recent call last)" in self.stack else "crash"


class RunRecord:
    """A file in `folder` that a crash writes every thread’s stack to. Its lock is held while the run lives,
    so that several runs at once are told apart. As a context manager it ends with the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / (secrets.token_hex(16) + _RECORD)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock: QLockFile | None = held_lock(self._path.with_suffix(_LOCK))  # before it can seem lost
            self._file = self._path.open("x", encoding="utf-8")
        except OSError as error:
            self._lock = None
            _log.info("A crash will not be noticed: %s", error)
            return
        faulthandler.enable(self._file, all_threads=True)

    def close(self) -> None:
        """The run ends in order."""
        if self._lock is None:
            return
        faulthandler.disable()
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._lock.unlock()
        self._lock = None

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and self._lock is not None:
            traceback.print_exception(error, file=self._file)
            self._file.flush()
        else:
            self.close()


def lost_run(folder: Path) -> LostRun | None:
    """The last of the runs that did not end in order; the records of them all go."""
    found = []
    for record in folder.glob(f"*{_RECORD}"):
        try:
            lock = held_lock(record.with_suffix(_LOCK))
            if lock is None:
                continue
            run = LostRun(record.stat().st_mtime, read_ordinary(record).decode("utf-8", "replace"))
            record.unlink()
            lock.unlock()
            found.append(run)
        except OSError as error:  # another start was faster, or the folder cannot be written any more
            _log.info("The record of an earlier run cannot be read: %s", error)
    return max(found, default=None)
