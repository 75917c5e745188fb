"""Scan for models outside the GUI thread: a disk may be slow, and a stick may hang."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.models.library import LocalModel, local_models, real_path
from app.worker.background import BackgroundCall


class LibraryScan(QObject):
    """The models of this computer, as the last scan found them."""

    back = Signal()
    """A scan has ended, and none was asked for since it began."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.models: list[LocalModel] | None = None
        """None before the first scan."""
        self.call = BackgroundCall("scan for models", self)
        self._asked: partial[list[LocalModel]] | None = None
        self.call.returned.connect(self._on_returned)

    def begin(self, added: Iterable[str], in_use: str) -> None:
        """added: the writer's own folders; in_use: the model that the settings name."""
        self._asked = partial(_scan, tuple(added), in_use)
        if not self.call.busy:
            self._start()

    def close(self) -> None:
        self._asked = None
        self.call.join()

    def _start(self) -> None:
        if self._asked:
            self.call.start(self._asked)
            self._asked = None

    def _on_returned(self, models: list[LocalModel]) -> None:
        self.models = models
        self._start()
        if not self.call.busy:
            self.back.emit()


def _scan(added: tuple[str, ...], in_use: str) -> list[LocalModel]:
    real_path(in_use)
    return local_models(map(Path, added))
