"""What of a text goes into a prompt, or went into it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor, QTextDocument

from app.documents.text import cursor_over, utf16_length
from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession
from app.editor.page import Page
from app.editor.placement import draft_source
from app.widgets.timers import timer
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from app.worker.tasks import Tasks
from engine.protocol.errors import Fault
from engine.protocol.events import Failed, Prefilled
from engine.protocol.requests import DraftPlace, DraftRequest, PromptRequest

PAUSE_MS = 400
MOST_REQUESTS = 20
"""So many prompts are held."""


@dataclass
class Sent:
    """A place's prompt."""

    place: DraftPlace
    draft: DraftSession | None
    """None of one to come."""
    at: QTextCursor
    """Selects what the draft replaces."""
    is_selection: bool
    """All that is given of the text was selected."""
    prompt: Prefilled | None = None
    parts: list[QTextCursor] = field(default_factory=list)
    """What of the text is in it; they follow edits."""

    def take(self, prompt: Prefilled, *, reads_passage: bool) -> None:
        """reads_passage: the model is given the passage with the prompt."""
        self.prompt = prompt
        document, start, end = self.at.document(), self.at.selectionStart(), self.at.selectionEnd()
        given = self.place.before[prompt.cut_chars :]
        before = utf16_length(given) - _breaks_to_come(document, start, given)
        after = utf16_length(self.place.after[: prompt.after_chars])
        if reads_passage and self.place.joins_after and self.place.start_text:
            spans = [(start - before, end + after)]
        else:
            spans = [(start - before, start), (end, end + after)]
        last = document.characterCount() - 1
        clipped = [(max(0, first), min(behind, last)) for first, behind in spans]
        self.parts = [cursor_over(document, *span) for span in clipped if span[0] < span[1]]


def _breaks_to_come(document: QTextDocument, start: int, before: str) -> int:
    """At the end of what a draft goes on from: those that the text has not."""
    there = start
    while there and document.characterAt(there - 1) == "\u2029":
        there -= 1
    return max(0, len(before) - len(before.rstrip("\n")) - (start - there))


class SentText(QObject):
    """Of the current draft, as it was; without one, and while it is watched, of a draft at the caret."""

    changed = Signal()
    """The current one is another, or more is known of it."""
    failed = Signal(Fault)

    def __init__(
        self, page: Page, drafts: DraftController, worker: EngineThread, model: ModelSession
    ) -> None:
        super().__init__(drafts)
        self._page = page
        self._drafts = drafts
        self._worker = worker
        self._model = model
        self._tasks = Tasks()
        self._of_requests: dict[str, list[Sent]] = {}
        """The oldest first."""
        self._to_come: Sent | None = None
        self._told: Sent | None = None
        """The current one when `changed` was emitted last."""
        self._asked = ""
        self.watched = False
        self._pause = timer(self, self._ask, PAUSE_MS, single_shot=True)
        drafts.requests.sent.connect(self._on_sent)
        drafts.requests.prefilled.connect(self._on_prefilled)
        for moved in (page.document().contentsChanged, page.cursorPositionChanged, model.changed):
            moved.connect(self._on_moved)
        drafts.changed.connect(self._on_drafts_changed)

    @property
    def current(self) -> Sent | None:
        """None while it is not known."""
        draft = self._drafts.current
        if draft is None:
            return self._to_come if self.watched else None
        shown = draft.variants[draft.shown_variant].made_as.request_id if draft.shown else draft.request_id
        sent = self._of_requests.get(shown or "", [])
        found = next((each for each in sent if each.draft is draft), sent[0] if len(sent) == 1 else None)
        return found if found and found.prompt else None

    def watch(self, watched: bool) -> None:
        """Whether it is wanted before there is a draft, too."""
        self.watched, self._to_come = watched, None
        self._ask()
        self._tell()

    async def close(self) -> None:
        await self._tasks.close()

    # ---------------------------------------------------------------- of a draft

    def _on_sent(self, request: DraftRequest, drafts: list[DraftSession]) -> None:
        self._of_requests[request.request_id] = [
            self._sent(place, draft) for place, draft in zip(request.places, drafts, strict=True)
        ]
        for old in list(self._of_requests)[:-MOST_REQUESTS]:
            del self._of_requests[old]

    def _sent(self, place: DraftPlace, draft: DraftSession) -> Sent:
        at = cursor_over(self._page.document(), *draft.placement.bounds)
        return Sent(place, draft, at, bool(draft.selection))

    def _on_prefilled(self, event: Prefilled) -> None:
        sent = self._of_requests.get(event.request_id, [])
        if event.place < len(sent):
            self._take(sent[event.place], event)

    def _take(self, sent: Sent, prompt: Prefilled) -> None:
        ready = self._model.ready
        sent.take(prompt, reads_passage=ready is not None and ready.capabilities.instructions)
        self._tell()

    # ---------------------------------------------------------------- of one to come

    def _on_drafts_changed(self) -> None:
        """With each step, too."""
        self._on_moved()
        if self.current is not self._told:
            self._tell()

    def _tell(self) -> None:
        self._told = self.current
        self.changed.emit()

    def _on_moved(self) -> None:
        if self.watched:
            self._pause.start()

    def _ask(self) -> None:
        """Also gives up what was asked before."""
        self._pause.stop()
        self._worker.cancel(self._asked)
        if self.watched and self._drafts.current is None and self._model.ready:
            self._asked = secrets.token_hex(16)
            self._tasks.spawn(self._ask_engine(self._asked))

    async def _ask_engine(self, request_id: str) -> None:
        draft = self._drafts.requests.at(self._page.textCursor())
        place = draft.places[0]
        request = PromptRequest(request_id=request_id, place=place, context_tokens=draft.context_tokens)
        selection, at = draft_source(self._page.textCursor())
        sent = Sent(place, None, at, bool(selection))
        async for event in self._worker.prompt(request):
            self._model.note(event)
            if request_id != self._asked:
                return
            if isinstance(event, Prefilled):
                self._to_come = sent
                self._take(sent, event)
            elif isinstance(event, Failed):
                self.failed.emit(event.fault)
