"""The SetUpSession: the one set-up of the app, in a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Signal, SignalInstance

from app.engine_setup.home import EngineHome
from app.engine_setup.lock import LOCKS, parts_of
from app.engine_setup.messages import Ended, Progress, Report, SetUpOrder, Waiting
from app.engine_setup.set_up import SetUp, Trial
from app.engine_setup.trial import draft_a_paragraph
from engine.installation import UV
from engine.protocol.errors import Fault, FaultError, reason_of

log = logging.getLogger(__name__)
CLOSING_S = 3.0


class SetUpState(Enum):
    MISSING = "missing"
    RUNNING = "running"
    PAUSED = "paused"
    """Or cut short; what has been fetched is here."""
    LEAVING = "leaving"
    """What is here is being deleted."""
    READY = "ready"
    OUTDATED = "outdated"
    """It drafts, but this version of Mezzotint goes with other parts."""


class SetUpSession(QObject):
    changed = Signal()
    """The state is another one."""
    progressed = Signal()
    installed = Signal()
    """From now on the engine runs in a new environment."""
    leaving = Signal()
    """The environment is about to go: no child may run there."""
    _reported = Signal(object)
    _left = Signal(object)

    def __init__(
        self,
        home: EngineHome,
        parent: QObject | None = None,
        *,
        locks: Path = LOCKS,
        trial: Trial = draft_a_paragraph,
        uv: Path = UV,
    ) -> None:
        super().__init__(parent)
        self.home = home
        self._locks = locks
        self._trial = trial
        self._uv = uv
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._discards = False
        self.progress = Progress(stage="checking")
        self.waiting = ""
        """What went wrong and passes perhaps."""
        self.fault: Fault | None = None
        """Why the last try came to nothing."""
        self.state = self._state_on_disk()
        self._reported.connect(self._on_report)
        self._left.connect(self._on_left)

    # ---------------------------------------------------------------- what the writer does

    def begin(self, order: SetUpOrder) -> None:
        """Set up, or set up anew beside what is in use."""
        if self._thread:
            return
        try:
            parts = parts_of(order.backend, self._locks)
        except (OSError, ValueError) as error:
            why = f"The list of the engine’s parts cannot be read: {reason_of(error)[0]}."
            self._end(Ended(done=False, fault=Fault("set-up", why, "Install Mezzotint again.")))
            return
        self._cancelled, self._discards = threading.Event(), False
        self.fault, self.waiting, self.progress = None, "", Progress(stage="checking")
        set_up = SetUp(
            order, parts, self.home, self._trial, self._reported.emit, self._cancelled, uv=self._uv
        )
        self._start(lambda: self._tell(self._reported, set_up.run()))
        self._enter(SetUpState.RUNNING)

    def resume(self, **changes: str) -> None:
        """Go on with what was paused or cut short. changes: of the order."""
        if order := self.home.order:
            self.begin(msgspec.structs.replace(order, **changes))
        else:  # another window has ended it
            self._enter(self._state_on_disk())

    def pause(self) -> None:
        """What has been fetched is kept."""
        self._cancelled.set()

    def cancel(self) -> None:
        """What has been fetched is deleted; what is in use stays."""
        self._discards = True
        self._cancelled.set()
        if not self._thread:
            self._leave(self.home.finish)

    def remove(self) -> None:
        """All of it."""
        if not self._thread:
            self.leaving.emit()
            self._leave(self.home.remove)

    def tidy(self) -> None:
        """Delete what a removal or an upgrade that was cut short has left. An engine that cannot be found for
        now stays: its Python may lie on a disk that is not there.
        """
        if self.state is not SetUpState.PAUSED and not self.home.is_lost and self.home.has_leftovers:
            self._leave(self.home.finish)

    def close(self) -> None:
        """The app ends: what has been fetched is kept."""
        self._cancelled.set()
        if self._thread:
            self._thread.join(CLOSING_S)

    # ---------------------------------------------------------------- its thread

    def _start(self, work: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=work, name="set up the engine", daemon=True)
        self._thread.start()

    def _tell(self, signal: SignalInstance, value: object) -> None:
        with contextlib.suppress(RuntimeError):  # the window has gone
            signal.emit(value)

    def _leave(self, delete: Callable[[], None]) -> None:
        def work() -> None:
            fault = None
            try:
                held = self.home.lock()
                if held:
                    delete()
                    held.unlock()
                else:
                    busy = "Another window of Mezzotint is setting the engine up."
                    fault = Fault("input", busy, "Look there, or close it.")
            except FaultError as error:
                fault = error.fault
            except OSError as error:
                message = f"“{self.home.folder}” cannot be emptied: {reason_of(error)[0]}."
                fault = Fault("disk", message, "Delete that folder by hand.")
            self._tell(self._left, fault)

        self.fault = None
        self._start(work)
        self._enter(SetUpState.LEAVING)

    def _on_report(self, report: Report) -> None:
        match report:
            case Progress():
                self.progress, self.waiting = report, ""
                self.progressed.emit()
                if report.stage == "clearing":
                    self.installed.emit()
            case Waiting():
                self.waiting = report.message
                self.progressed.emit()
            case Ended():
                self._end(report)

    def _end(self, ended: Ended) -> None:
        self._thread = None
        self.fault = ended.fault
        if ended.fault:
            log.info("set-up: %s %s\n%s", ended.fault.message, ended.fault.remedy, ended.fault.details)
        if self._discards and not ended.done:
            self._leave(self.home.finish)
            return
        self._enter(self._state_on_disk())

    def _on_left(self, fault: Fault | None) -> None:
        self._thread = None
        self.fault = fault
        self._enter(self._state_on_disk())

    def _enter(self, state: SetUpState) -> None:
        self.state = state
        self.changed.emit()

    def _state_on_disk(self) -> SetUpState:
        if self.home.order:
            return SetUpState.PAUSED
        if not self.home.active:
            return SetUpState.MISSING
        record = self.home.record
        with contextlib.suppress(OSError, ValueError):
            if record and parts_of(record.backend, self._locks).digest != record.lock:
                return SetUpState.OUTDATED
        return SetUpState.READY
