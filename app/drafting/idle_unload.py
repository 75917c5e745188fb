"""Unload the model after a while of rest, if the writer chose that."""

from __future__ import annotations

from PySide6.QtCore import QObject

from app.drafting.controller import DraftController
from app.editor.page import Page
from app.settings.store import SettingsStore
from app.widgets.timers import timer
from app.worker.model_session import ModelSession


class IdleUnload(QObject):
    def __init__(
        self, page: Page, model: ModelSession, settings: SettingsStore, drafts: DraftController
    ) -> None:
        super().__init__(drafts)
        self._model = model
        self._drafts = drafts
        self._settings = settings
        self.timer = timer(self, self._on_idle, 0, single_shot=True)
        page.document().contentsChanged.connect(self._restart)
        page.cursorPositionChanged.connect(self._restart)
        page.verticalScrollBar().valueChanged.connect(self._restart)
        drafts.changed.connect(self._restart)
        settings.changed.connect(self._restart)
        self._restart()

    def _restart(self) -> None:
        minutes = self._settings.current.unload_after_minutes
        if minutes is None or self._model.ready is None:
            self.timer.stop()
        else:
            self.timer.start(minutes * 60_000)

    def _on_idle(self) -> None:
        if not any(draft.develops for draft in self._drafts.overlays):
            self._model.unload()
