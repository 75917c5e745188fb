"""The system ends the app: by a signal, by a log-out, or by taking the display away."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys

from PySide6.QtCore import (
    QMessageLogContext,
    QObject,
    QSocketNotifier,
    QTimer,
    QtMsgType,
    qFormatLogMessage,
    qInstallMessageHandler,
)
from PySide6.QtWidgets import QApplication

from app.support.run_record import RunRecord
from app.window.main_window import MainWindow

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_DISPLAY_GONE = "connection broke"
"""All that Qt says of X11 and Wayland before it ends: with Wayland at once, with X11 by way of its loop."""


class SystemEnd(QObject):
    """What is not saved is in a recovery copy before the app is gone."""

    def __init__(self, app: QApplication, window: MainWindow, record: RunRecord) -> None:
        super().__init__(window)
        self._window = window
        self._record = record
        for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, lambda *_: self._end())
        # Python sees a signal when it runs next: Qt's loop has to be woken for it.
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        notifier = QSocketNotifier(self._woken.fileno(), QSocketNotifier.Type.Read, self)
        notifier.activated.connect(lambda: self._woken.recv(4096))
        app.commitDataRequest.connect(self._keep_copy)
        qInstallMessageHandler(self._on_message)

    def _end(self) -> None:
        """Python sees a signal in the middle of an edit too: a copy knows nothing of it before it ends."""
        QTimer.singleShot(0, self._window, self._window.end)

    def _keep_copy(self) -> None:
        """The end may still be called off, so the window stays."""
        with contextlib.suppress(OSError, ValueError):
            self._window.view.document.keep_copy()

    def _on_message(self, kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
        if _DISPLAY_GONE in message:
            self._keep_copy()
            self._record.close()
            os._exit(1)  # what is left of the window cannot be taken down in order
        print(qFormatLogMessage(kind, context, message), file=sys.stderr)
