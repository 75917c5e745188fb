"""The HistoryStore: every draft, in a database that one thread of its own reads and writes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Signal

from app.history import changes
from app.history.record import DraftRecord, HistoryError
from app.settings.schema import Settings
from app.widgets.timers import timer
from engine.protocol.errors import Fault

if TYPE_CHECKING:
    from app.history.keeper import HistoryKeeper, Job

T = TypeVar("T")
_log = logging.getLogger(__name__)
_FORGET_MS = 2000
"""After the last one that was deleted."""


class HistoryStore(QObject):
    """Nothing is opened before the first job, and nobody waits for a job."""

    failed = Signal(Fault)
    """Something could not be kept, or the database was set aside."""
    changed = Signal()
    """Other drafts are in it, or another one of them was kept."""
    _answered = Signal(object, object)

    def __init__(self, parent: QObject | None = None, folder: Path | None = None) -> None:
        """folder: where it is kept, if not in the user's data."""
        super().__init__(parent)
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
        self._forget = timer(self, lambda: self.write(changes.forget), _FORGET_MS, single_shot=True)
        self._answered.connect(self._on_answered)

    # ---------------------------------------------------------------- what changes it

    def add(self, record: DraftRecord) -> None:
        self.write(partial(changes.add, record=record))

    def mark_kept(self, request_id: str, seed: int) -> None:
        self.write(partial(changes.mark_kept, request_id=request_id, seed=seed))

    def name_document(self, document_id: str, path: Path) -> None:
        named = partial(changes.name_document, document_id=document_id, path=str(path), name=path.name)
        self.write(named)

    def delete(self, number: int) -> None:
        self.write(partial(changes.delete, number=number))
        self._forget.start()  # for several at once: it takes seconds in a long history

    def delete_all(self) -> None:
        self.write(changes.delete_all)

    def start(self, chosen: Settings) -> None:
        """What has grown too old since the app was used last goes, if there is a history."""

        def start() -> None:
            if self._keeper.is_there:
                self.prune(chosen)

        self._submit(start)

    def prune(self, chosen: Settings) -> None:
        """What is too old, or too much, goes."""
        days, now = chosen.history_days, datetime.now(UTC)
        oldest = (now - timedelta(days=days)).isoformat(timespec="seconds") if days else ""
        most_bytes = chosen.history_mb * 1_000_000
        self._submit(self._prune, partial(changes.first_to_stay, oldest=oldest, most_bytes=most_bytes))

    def write(self, job: Job[object]) -> None:
        """In its turn."""
        self._submit(self._write, job)

    def read(self, job: Job[T], then: Callable[[T], object]) -> None:
        """then: called in this object's thread with what was read; not at all where nothing could be."""
        self._submit(self._read, job, then)

    def close(self) -> None:
        """Wait for what is being written."""
        if self._forget.isActive():
            self._forget.stop()
            self.write(changes.forget)
        self._submit(self._close)
        self._thread.shutdown()

    def _submit(self, work: Callable[..., None], *values: object) -> None:
        self._thread.submit(work, *values).add_done_callback(_log_bug)

    def _on_answered(self, then: Callable[[Any], object], found: object) -> None:
        then(found)

    # ---------------------------------------------------------------- in the thread

    @cached_property
    def _keeper(self) -> HistoryKeeper:
        from app.history.keeper import HistoryKeeper  # the first paint does not need SQLite

        return HistoryKeeper(self._folder, partial(self._emit, self.failed))

    def _write(self, job: Job[object]) -> None:
        self._keeper.run(job)
        self._emit(self.changed)

    def _read(self, job: Job[T], then: Callable[[T], object]) -> None:
        self._emit(self._answered, then, self._keeper.run(job))

    def _prune(self, first_to_stay: Job[int]) -> None:
        first = self._keeper.run(first_to_stay)
        self._delete_before(partial(changes.delete_before, first=first), has_begun=False)

    def _delete_before(self, job: Job[bool], has_begun: bool) -> None:
        """A few drafts at a time: who reads does not wait for long."""
        with contextlib.suppress(RuntimeError):  # the app ends: the rest goes another time
            if self._keeper.run(job):
                self._submit(self._delete_before, job, True)
            elif has_begun:
                self.write(changes.forget)

    def _close(self) -> None:
        if "_keeper" in vars(self):
            self._keeper.close()

    def _emit(self, signal: Any, *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the window has gone
            signal.emit(*values)


def _log_bug(done: Future[None]) -> None:
    if (error := done.exception()) and not isinstance(error, HistoryError):
        _log.error("A job of the history failed", exc_info=error)
