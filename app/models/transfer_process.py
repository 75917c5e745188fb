"""The process that carries out an order for a model, as the app sees it."""

from __future__ import annotations

import logging

import msgspec
from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, Signal

from app.models.transfer.messages import Failed, Order, Report, encode
from engine.installation import package_environment, python_command
from engine.protocol.errors import Fault, engine_missing

log = logging.getLogger(__name__)

AGAIN = "Try again: it goes on from where it was."


class TransferProcess(QProcess):
    """Starts when it is made; `gone` comes once, whatever becomes of it."""

    reported = Signal(object)
    """A Report; after one that is none, a failure, and it is killed."""
    gone = Signal(str)
    """How it ended, and its last words."""

    def __init__(self, order: Order, parent: QObject) -> None:
        super().__init__(parent)
        self._order = order
        environment = QProcessEnvironment.systemEnvironment()
        for name, value in package_environment().items():
            environment.insert(name, value)
        self.setProcessEnvironment(environment)
        self.started.connect(self._on_started)
        self.readyReadStandardOutput.connect(self._on_output)
        self.finished.connect(self._on_finished)
        self.errorOccurred.connect(self._on_error)

    def begin(self) -> None:
        if command := python_command("app.models.transfer.process"):
            self.start(command[0], command[1:])
        else:
            self.reported.emit(Failed(fault=engine_missing().fault))
            self.gone.emit("")
            self.deleteLater()

    def _on_started(self) -> None:
        self.write(encode(self._order))  # its stdin stays open: it ends with that

    def _on_output(self) -> None:
        while self.canReadLine():
            line = bytes(self.readLine().data())
            try:
                report: Report = msgspec.json.decode(line, type=Report)
            except ValueError as error:
                garbled = "The download said what cannot be understood."
                self.reported.emit(Failed(fault=Fault("died", garbled, AGAIN, f"{error}\n{line[:500]!r}")))
                self.kill()
                return
            self.reported.emit(report)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:  # there will be no finished signal
            self._on_finished(-1)

    def _on_finished(self, code: int) -> None:
        self._on_output()
        last_words = bytes(self.readAllStandardError().data()).decode(errors="replace")[-4000:]
        if last_words:
            log.info("transfer to %s: %s", self._order.folder, last_words)
        self.gone.emit(f"{self.errorString()} ({code})\n{last_words}")
        self.deleteLater()
