"""One download or import: its state, and what moves it from one to the next."""

from __future__ import annotations

import logging
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import assert_never

import msgspec
from PySide6.QtCore import QLockFile, QObject, Signal

from app.documents.files import held_lock
from app.models import library
from app.models.download_rate import DownloadRate
from app.models.transfer import disk_space, installation
from app.models.transfer.file_names import LOCK, RECORD
from app.models.transfer.messages import (
    Checked,
    Done,
    Failed,
    HubOrder,
    ImportOrder,
    Order,
    Progress,
    Report,
    Waiting,
)
from app.models.transfer_process import AGAIN, TransferProcess
from app.widgets.timers import timer
from engine.protocol.errors import Fault, FaultError

log = logging.getLogger(__name__)

QUIET_MS = 3000
SECOND_MS = 1000
"""Without a report for so long, nothing is moving."""


class DownloadState(Enum):
    QUEUED = "queued"
    CHECKING = "checking"
    PROBED = "probed"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    PAUSED = "paused"
    FAILED = "failed"
    DONE = "done"
    CANCELLED = "cancelled"


RUNNING = (DownloadState.CHECKING, DownloadState.DOWNLOADING, DownloadState.VERIFYING)
MOVING = (DownloadState.QUEUED, *RUNNING)
RESUMABLE = (DownloadState.PROBED, DownloadState.PAUSED, DownloadState.FAILED)


class DownloadJob(QObject):
    """One model on its way, from the Hub or from a folder. Made by a DownloadQueue."""

    state_changed = Signal(DownloadState)
    progressed = Signal()
    ended = Signal()
    """Its process has gone, or it needed none."""

    def __init__(self, order: Order, record: installation.InstallRecord | None, parent: QObject) -> None:
        """record: of an earlier try."""
        super().__init__(parent)
        self.order = order
        self._process: TransferProcess | None = None
        self._lock: QLockFile | None = None
        self._quiet = timer(self, self._on_quiet, QUIET_MS, single_shot=True)
        self._second = timer(self, self._on_second, SECOND_MS)
        self.rate = DownloadRate()
        self.folder = Path(order.folder)
        self.state = DownloadState.QUEUED
        if record:
            self.state = DownloadState.PROBED if record.probe else DownloadState.PAUSED
        self.done_bytes = _bytes_in(installation.partial(self.folder)) if record else 0
        self.total_bytes = record.total_bytes if record else 0
        self.licence = record.licence if record else ""
        self.waiting = ""
        """What went wrong and passes perhaps; empty while all is well."""
        self.waiting_s = 0.0
        """Until the next try."""
        self.fault: Fault | None = None
        """Why it failed or was paused."""

    @property
    def name(self) -> str:
        """A repository, or the folder that is imported."""
        return self.order.repo if isinstance(self.order, HubOrder) else self.order.source

    @property
    def is_import(self) -> bool:
        return isinstance(self.order, ImportOrder)

    @property
    def is_probe(self) -> bool:
        """Nothing is fetched but what tells whether it fits; PROBED once that is known."""
        return isinstance(self.order, HubOrder) and self.order.probe

    @property
    def has_process(self) -> bool:
        return self._process is not None

    @property
    def seconds_left(self) -> float | None:
        """None where nobody can tell."""
        return self.rate.seconds_left(self.total_bytes - self.done_bytes)

    def pause(self) -> None:
        """What is there so far is kept."""
        if self.state in MOVING:
            self.enter(DownloadState.PAUSED)
            if self._process:
                self._process.kill()

    def resume(self, token: str | None = None) -> None:
        """After a probe, a pause or a failure. None: with the token that it had."""
        if self.state not in RESUMABLE:
            return
        if isinstance(self.order, HubOrder):
            probe = self.order.probe and self.state is not DownloadState.PROBED
            token = self.order.token if token is None else token.strip()
            self.order = msgspec.structs.replace(self.order, token=token, probe=probe)
        self.fault = None
        self.enter(DownloadState.QUEUED)

    def cancel(self) -> None:
        """What is there so far is deleted."""
        if self.state in (DownloadState.DONE, DownloadState.CANCELLED):
            return
        self.enter(DownloadState.CANCELLED)
        if self._process:
            self._process.kill()
        else:
            self._take_away()

    def start(self) -> None:
        """Called by the queue when its turn has come."""
        self.enter(DownloadState.CHECKING)
        try:
            with disk_space.writing_to(self.folder):
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                if self.folder.is_symlink() and not self.folder.exists():
                    raise FaultError(
                        "folder",
                        f"“{self.folder}” is a link to a folder that is not there.",
                        "Connect the disk that it leads to, or delete the link.",
                    )
                self._take_lock()
        except FaultError as error:
            self.fail(error.fault)
            self.ended.emit()
            return
        if library.is_whole(self.folder):  # by another window, or by a process that was ended a moment late
            self.enter(DownloadState.DONE)
            self._take_away()
            return
        self._process = TransferProcess(self.order, self)
        self._process.reported.connect(self.on_report)
        self._process.gone.connect(self._on_gone)
        self._process.begin()

    def close(self) -> None:
        """The app ends: what is there so far is kept."""
        self.pause()
        if self._process:
            self._process.waitForFinished(2000)

    def on_report(self, report: Report) -> None:
        if self.state not in RUNNING and not isinstance(report, Done):
            return  # said before it was ended
        self.waiting = ""
        self._second.stop()
        match report:
            case Checked():
                self.licence, self.total_bytes = report.licence, report.total_bytes
                if isinstance(self.order, HubOrder):
                    self.order = msgspec.structs.replace(self.order, revision=report.revision)
                if self.is_probe:
                    self.enter(DownloadState.PROBED)
            case Progress():
                if (state := DownloadState(report.stage)) is not self.state:
                    self.rate.reset()
                    self.enter(state)
                self.done_bytes, self.total_bytes = report.done_bytes, report.total_bytes
                self.rate.update(report.elapsed_s, report.done_bytes)
                self._quiet.start()
                self.progressed.emit()
            case Waiting():
                self._quiet.stop()
                self.rate.reset()
                self.waiting, self.waiting_s = report.message, report.seconds
                self._second.start()
                self.progressed.emit()
            case Done():
                self.enter(DownloadState.DONE)
            case Failed():
                self.fail(report.fault)
            case _:
                assert_never(report)

    def _on_quiet(self) -> None:
        self.rate.reset()
        self.progressed.emit()

    def _on_second(self) -> None:
        self.waiting_s = max(self.waiting_s - 1, 0.0)
        self.progressed.emit()

    def _on_gone(self, details: str) -> None:
        if self.state in RUNNING:
            self.fail(Fault("died", "The download stopped unexpectedly.", AGAIN, details))
        self._process = None
        if self.state is DownloadState.CANCELLED:
            self._take_away()
            return
        if self.state is not DownloadState.DONE:
            self.done_bytes = _bytes_in(installation.partial(self.folder))
            self.progressed.emit()
        self._lock = None
        self.ended.emit()

    def enter(self, state: DownloadState) -> None:
        self._quiet.stop()
        self._second.stop()
        self.waiting = ""
        if state not in (DownloadState.DOWNLOADING, DownloadState.VERIFYING):
            self.rate.reset()
        self.state = state
        self.state_changed.emit(state)

    def fail(self, fault: Fault) -> None:
        """A disk that fills up is a pause: nothing is wrong with the download."""
        log.info("download of %s: %s %s", self.name, fault.message, fault.details)
        self.fault = fault
        full = fault.kind == "disk" and self.state is DownloadState.DOWNLOADING
        self.enter(DownloadState.PAUSED if full else DownloadState.FAILED)

    def _take_lock(self) -> None:
        """Raises FaultError while another window has it, OSError where none can be kept."""
        self._lock = self._lock or lock(self.folder)
        if not self._lock:
            raise FaultError(
                "input", f"Another window of Mezzotint is busy with {self.name}.", "Look there, or close it."
            )

    def _take_away(self) -> None:
        partial = installation.partial(self.folder)
        try:
            with suppress(OSError):  # a full disk has no room for a lock
                self._take_lock()
            if partial.exists():
                installation.move_to_trash(partial)
        except FaultError as error:
            self.fail(error.fault)
        self._lock = None
        self.ended.emit()


def lock(folder: Path) -> QLockFile | None:
    """Of the right to change what lies at `folder` or grows beside it. Raises OSError."""
    return held_lock(folder.with_name(folder.name + LOCK))


def _bytes_in(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir() if file.name != RECORD)
    except OSError:
        return 0
