"""The HistoryStore: every draft, in a database that one thread of its own reads and writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Signal

from app.history import database
from app.history.record import DraftRecord
from engine.protocol.errors import Fault

if TYPE_CHECKING:
    from app.history.keeper import HistoryKeeper, Job

T = TypeVar("T")


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
        self._answered.connect(self._on_answered)

    def add(self, record: DraftRecord) -> None:
        self.write(partial(database.add, record=record))

    def mark_kept(self, request_id: str, seed: int) -> None:
        self.write(partial(database.mark_kept, request_id=request_id, seed=seed))

    def write(self, job: Job[object]) -> None:
        """In its turn."""
        self._thread.submit(self._work, job, None)

    def read(self, job: Job[T], then: Callable[[T], object]) -> None:
        """then: called in this object's thread with what was read; not at all where nothing could be."""
        self._thread.submit(self._work, job, then)

    def close(self) -> None:
        """Wait for what is being written."""
        self._thread.submit(self._close)
        self._thread.shutdown()

    # ---------------------------------------------------------------- in the thread

    @cached_property
    def _keeper(self) -> HistoryKeeper:
        from app.history.keeper import HistoryKeeper  # the first paint does not need SQLite

        return HistoryKeeper(self._folder, partial(self._emit, self.failed))

    def _work(self, job: Job[T], then: Callable[[T], object] | None) -> None:
        from app.history.keeper import HistoryError

        try:
            found = self._keeper.run(job)
        except HistoryError:
            return
        if then:
            self._emit(self._answered, then, found)
        else:
            self._emit(self.changed)

    def _emit(self, signal: Any, *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the window has gone
            signal.emit(*values)

    def _close(self) -> None:
        if "_keeper" in vars(self):
            self._keeper.close()

    def _on_answered(self, then: Callable[[Any], object], found: object) -> None:
        then(found)
