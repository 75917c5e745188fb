"""Notice that another program changed the document's file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication

from app.documents.document import Document
from app.documents.files import OpenedFile, never_was
from app.widgets.timers import timer
from engine.protocol.errors import Fault, FaultError

SETTLE_MS = 200
"""A file is read so long after a change, which may be one of several."""


class DiskWatch(QObject):
    """Looks at the file when the system tells of a change, and when the app comes to the front."""

    changed = Signal(OpenedFile)
    """It holds another text than that which was read or saved last."""
    lost = Signal(Fault)
    """It is not there any more, or cannot be read."""
    matched = Signal()
    """It holds what it held."""

    def __init__(self, document: Document, parent: QObject) -> None:
        super().__init__(parent)
        self._document = document
        self._stamp: tuple[int, ...] | None = None
        self._watcher = QFileSystemWatcher(self)
        self._soon = timer(self, self.check, SETTLE_MS, single_shot=True)
        self._watcher.fileChanged.connect(lambda: self._soon.start())
        document.changed.connect(self._follow)
        app = QGuiApplication.instance()
        assert isinstance(app, QGuiApplication)
        app.applicationStateChanged.connect(self._on_state)

    def check(self, anew: bool = False) -> bool:
        """Tell what has happened to the file since it was looked at last, or since it was read or saved.

        anew: the latter. Returns whether it holds another text.
        """
        path, before = self._document.path, self._stamp
        if path is None:
            return False
        self._follow()
        if self._stamp == before and not anew:
            return False
        try:
            found = self._document.read(path)
        except FaultError as error:
            if anew and never_was(path, self._document.digest):
                return False
            self.lost.emit(error.fault)
            return False
        if self._document.matches(found):
            self.matched.emit()
            return False
        self.changed.emit(found)
        return True

    def _follow(self) -> None:
        """The file may be another one now, of the same name too."""
        if watched := self._watcher.files():
            self._watcher.removePaths(watched)
        self._stamp = None
        if self._document.path is not None:
            self._stamp = _stamp(self._document.path)
            self._watcher.addPath(str(self._document.path))

    def _on_state(self, state: Qt.ApplicationState) -> None:
        if state is Qt.ApplicationState.ApplicationActive:
            self.check()


def _stamp(path: Path) -> tuple[int, ...] | None:
    """It is another one after a change."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode
