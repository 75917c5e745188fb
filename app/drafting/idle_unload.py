"""Unload the model after a while of rest, if the writer chose that."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

from app.drafting.draft_session import DraftSession, DraftState
from app.editor.page import Page
from app.settings.store import SettingsStore


class IdleUnload(QObject):
    def __init__(
        self, page: Page, drafting: DraftSession, settings: SettingsStore, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._drafting = drafting
        self._settings = settings
        self.timer = QTimer(self, singleShot=True)
        self.timer.timeout.connect(self._on_idle)
        page.document().contentsChanged.connect(self._restart)
        page.cursorPositionChanged.connect(self._restart)
        page.verticalScrollBar().valueChanged.connect(self._restart)
        drafting.changed.connect(self._restart)
        drafting.model_changed.connect(self._restart)
        settings.changed.connect(self._restart)
        self._restart()

    def _restart(self) -> None:
        minutes = self._settings.current.unload_after_minutes
        if minutes is None or self._drafting.ready is None:
            self.timer.stop()
        else:
            self.timer.start(minutes * 60_000)

    def _on_idle(self) -> None:
        if self._drafting.state in (DraftState.IDLE, DraftState.SETTLED):
            self._drafting.unload()
