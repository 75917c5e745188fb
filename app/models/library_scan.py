"""Scan for models outside the GUI thread: a disk may be slow, and a stick may hang."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from app.models.library import LocalModel, local_models, real_path

_CLOSING_S = 1.0


class LibraryScan(QObject):
    """models: as the last scan found them, None before the first. back: a scan has ended, and none was asked
    for since it began.
    """

    back = Signal()
    _read = Signal(list)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.models: list[LocalModel] | None = None
        self._asked: tuple[tuple[str, ...], str] | None = None
        self._thread: threading.Thread | None = None
        self._read.connect(self._on_read)

    def begin(self, added: Iterable[str], in_use: str) -> None:
        """added: the writer's own folders; in_use: the model that the settings name."""
        self._asked = tuple(added), in_use
        self._start()

    def close(self) -> None:
        self._asked = None
        if self._thread:
            self._thread.join(_CLOSING_S)

    def _start(self) -> None:
        if self._asked and self._thread is None:
            self._thread = threading.Thread(
                target=self._work, args=self._asked, name="scan for models", daemon=True
            )
            self._asked = None
            self._thread.start()

    def _work(self, added: tuple[str, ...], in_use: str) -> None:
        real_path(in_use)
        models = local_models(map(Path, added))
        with contextlib.suppress(RuntimeError):  # the window has gone
            self._read.emit(models)

    @Slot(list)
    def _on_read(self, models: list[LocalModel]) -> None:
        self._thread = None
        self.models = models
        self._start()
        if self._thread is None:
            self.back.emit()
