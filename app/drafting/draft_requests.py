"""The requests of a page's drafts: built from the settings, sent, and their events routed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor

from app.drafting.draft_session import DraftSession
from app.editor.join import TextContext
from app.editor.placement import end_of_word, text_context
from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from app.worker.tasks import Tasks
from engine.protocol.errors import Fault
from engine.protocol.events import Cancelled, Committed, Event, Failed, Finished, Frame
from engine.protocol.requests import DraftPlace, DraftRequest, SamplingOverrides


class DraftRequests(QObject):
    """One request can have several places; each event goes to the session of its request and place."""

    failed = Signal(Fault)
    """Once for all places of a request."""

    def __init__(
        self, worker: EngineThread, model: ModelSession, settings: SettingsStore, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._worker = worker
        self._model = model
        self._settings = settings
        self._tasks = Tasks()
        self._waiting: dict[str, dict[int, DraftSession]] = {}
        """The sessions that wait for events, by request and place."""
        worker.stalled.connect(self._on_stalled)

    def send(self, drafts: Sequence[DraftSession]) -> None:
        """One request for all of them, by the text as it is now."""
        contexts = [
            TextContext(draft.selection + draft.placement.separator, "")
            if draft.selection
            else draft.placement.context()
            for draft in drafts
        ]
        request = self._request(contexts, drafts[0].retries)
        self._waiting[request.request_id] = dict(enumerate(drafts))
        for place, draft in enumerate(drafts):
            draft.begin(request.request_id, (request.seed + place) % 2**63, request.sampling.max_steps or 0)
        self._tasks.spawn(self._run(request))

    def cancel(self, draft: DraftSession) -> None:
        """Give up its draft; other places of the request may go on."""
        assert draft.request_id is not None
        waiting = self._waiting.get(draft.request_id, {})
        for place in [place for place, other in waiting.items() if other is draft]:
            del waiting[place]
        if not waiting:
            self._worker.cancel(draft.request_id)

    def at(self, cursor: QTextCursor) -> DraftRequest:
        """What a draft that begins there would ask for."""
        around = text_context(cursor.document(), end_of_word(cursor).position())
        return self._request([TextContext(around.before + around.join.lead(around), around.after)])

    async def close(self) -> None:
        await self._tasks.close()

    def _request(self, contexts: Sequence[TextContext], retries: int = 0) -> DraftRequest:
        """By the settings as they are now."""
        chosen = self._settings.current
        seed = secrets.randbits(63) if chosen.seed is None else (chosen.seed + retries) % 2**63
        return DraftRequest(
            request_id=secrets.token_hex(16),
            places=tuple(DraftPlace(before=context.before, after=context.after) for context in contexts),
            canvases=chosen.canvases,
            seed=seed,
            sampling=SamplingOverrides(
                max_steps=chosen.max_steps,
                t_min=chosen.t_min,
                t_max=chosen.t_max,
                entropy_bound=chosen.entropy_bound,
                early_stop=chosen.early_stop,
            ),
            context_tokens=chosen.context_tokens,
        )

    async def _run(self, request: DraftRequest) -> None:
        waiting = self._waiting[request.request_id]
        try:
            if await self._model.ensure_loaded():
                if waiting:
                    async for event in self._worker.draft(request):
                        self._model.note(event)
                        if not waiting:
                            return
                        self._route(event, waiting)
            else:  # the model has told why
                for draft in list(waiting.values()):
                    draft.give_up()
        finally:
            del self._waiting[request.request_id]

    def _route(self, event: Event, waiting: dict[int, DraftSession]) -> None:
        match event:
            case Frame() | Committed():
                if draft := waiting.get(event.place):
                    draft.on_event(event)
            case Finished():
                if draft := waiting.pop(event.place, None):
                    draft.on_event(event)
            case Failed() | Cancelled():
                ended = list(waiting.values())
                waiting.clear()
                for draft in ended:
                    draft.on_event(event)
                if isinstance(event, Failed):
                    self.failed.emit(event.fault)

    def _on_stalled(self, request_id: str) -> None:
        for draft in self._waiting.get(request_id, {}).values():
            draft.set_stalled(True)
