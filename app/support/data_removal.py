"""Remove Mezzotint's data: asked for in the window, done once that is closed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from app.settings.store import SettingsStore

if TYPE_CHECKING:
    from app.support.own_data import DataPart

# What the first paint does not need is imported where it is used.


class DataRemoval(QObject):
    """when_saved: calls what it is given, once the text is saved or given up."""

    def __init__(
        self,
        settings: SettingsStore,
        own_lock: Path,
        when_saved: Callable[[Callable[[], object]], None],
        close: Callable[[], object],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._settings = settings
        self._own_lock = own_lock
        self._when_saved = when_saved
        self._close = close
        self._window = window
        self.chosen: list[DataPart] = []
        """To be removed now that the window has closed."""

    def open(self) -> None:
        from app.support.own_data import busy, data_parts
        from app.support.removal_dialog import RemovalDialog, refusal

        if reason := busy(self._own_lock):
            refusal(reason, self._window).open()
            return
        dialog = RemovalDialog(
            data_parts(self._settings.current.model_folders), "Remove and quit", self._window
        )
        dialog.chosen.connect(self._on_chosen)
        dialog.open()

    def _on_chosen(self, parts: list[DataPart]) -> None:
        self._when_saved(partial(self._leave, parts))

    def _leave(self, parts: list[DataPart]) -> None:
        self.chosen = parts
        self._close()
