"""A call in a thread of its own, whose result comes back to the GUI's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

CLOSING_S = 1.0


class BackgroundCall(QObject):
    """One call at a time, for what may wait for a disk or a driver.

    The thread is a daemon: those of `asyncio.to_thread` are joined when the interpreter ends, and a stick
    that hangs must not keep the app from ending.
    """

    returned = Signal(object)
    """What the call returned. `busy` is false by then."""
    _done = Signal(object)

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._name = name
        self._thread: threading.Thread | None = None
        self._done.connect(self._on_done)

    @property
    def busy(self) -> bool:
        return self._thread is not None

    def start(self, call: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=self._work, args=(call,), name=self._name, daemon=True)
        self._thread.start()

    def join(self, timeout_s: float | None = CLOSING_S) -> None:
        """Wait for the call to end, None: however long; its result comes with Qt's next events."""
        if self._thread:
            self._thread.join(timeout_s)

    def _work(self, call: Callable[[], object]) -> None:
        result = call()
        with contextlib.suppress(RuntimeError):  # the window has gone
            self._done.emit(result)

    def _on_done(self, result: object) -> None:
        self._thread = None
        self.returned.emit(result)
