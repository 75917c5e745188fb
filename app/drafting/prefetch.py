"""Read ahead while the writer pauses."""

from __future__ import annotations

from PySide6.QtCore import QObject

from app.drafting.controller import DraftController
from app.editor.page import Page
from app.settings.store import SettingsStore
from app.widgets.timers import timer
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from engine.protocol.requests import PrepareRequest

PAUSE_MS = 700


class Prefetch(QObject):
    """Looks at the text only when the text, the caret, the draft and the model have rested for a while.

    Nothing is read ahead for a selection: most are made to be cut, moved or typed over.
    """

    def __init__(
        self,
        page: Page,
        worker: EngineThread,
        model: ModelSession,
        settings: SettingsStore,
        drafts: DraftController,
    ) -> None:
        super().__init__(drafts)
        self._page = page
        self._worker = worker
        self._settings = settings
        self._model = model
        self._drafts = drafts
        self._last_read: PrepareRequest | None = None
        self.pause = timer(self, self._on_paused, PAUSE_MS, single_shot=True)
        for moved in (page.document().contentsChanged, page.cursorPositionChanged, drafts.changed):
            moved.connect(self.pause.start)
        settings.changed.connect(lambda: self.pause.start())

    def _on_paused(self) -> None:
        if self._is_composing():
            self.pause.start()
        elif (ready := self._model.ready) and ready.capabilities.reads_ahead and self._may_read():
            self._read(ready.request_id)

    def _read(self, load_id: str) -> None:
        """load_id: of the model's load, so that each loaded model reads the same text anew."""
        page = self._page
        draft = self._drafts.requests.at(page.textCursor())
        request = PrepareRequest(
            request_id=load_id, place=draft.places[0], context_tokens=draft.context_tokens
        )
        if request != self._last_read:
            self._last_read = request
            self._worker.prepare(request)

    def _is_composing(self) -> bool:
        return bool(self._page.textCursor().block().layout().preeditAreaText())

    def _may_read(self) -> bool:
        return (
            self._settings.current.read_ahead
            and self._drafts.current is None
            and self._page.isVisible()
            and not self._page.window().isMinimized()
            and not self._page.textCursor().hasSelection()
        )
