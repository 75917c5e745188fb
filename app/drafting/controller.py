"""The DraftController: the drafts of one page."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor

from app.drafting.draft_requests import DraftRequests
from app.drafting.draft_session import DraftSession, DraftState
from app.drafting.variant import Variant
from app.editor.draft_overlay import DraftOverlay
from app.editor.page import Page
from app.settings.schema import Settings
from app.settings.store import SettingsStore
from app.widgets.theme import reduces_motion
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from engine.protocol.errors import Fault

NOTES_NOT_READ = Fault(
    "instructions",
    "This model cannot read what you ask for, nor the notes in the gaps.",
    "It goes on from your text alone.",
)
PASSAGE_CHANGED = Fault("input", "You changed the passage, so its new version was let go.", "")


class DraftController(QObject):
    """Holds the drafts and how each is shown in the page, until it has ended."""

    changed = Signal()
    """A draft, or which one is the current one."""
    failed = Signal(Fault)
    settled = Signal(DraftSession)
    """New variants of it are there."""
    ended = Signal(DraftSession)
    """Kept, discarded, or come to nothing; it tells which."""
    putting_in = Signal(DraftSession, str)
    """What is about to be kept of it, the text as it was."""
    reached = Signal()
    """The writer went to the current draft."""

    def __init__(
        self, page: Page, worker: EngineThread, model: ModelSession, settings: SettingsStore, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._page = page
        self._model = model
        self.requests = DraftRequests(worker, model, settings, self)
        self.overlays: dict[DraftSession, DraftOverlay] = {}
        """How each draft is shown in the page; the oldest first."""
        self._told_current: DraftSession | None = None
        """The current one when `changed` was emitted last."""
        self.changed.connect(self._on_told)
        self._could_bring_back = False
        self.dropped: list[DraftSession] = []
        """What was discarded last: until the next one ends it can be brought back."""
        self._discards_all = False
        self._told = ""
        """The load after which it was told that its model takes no instructions."""
        self.requests.failed.connect(self.failed)
        model.leaving.connect(self._on_model_leaving)
        model.changed.connect(self.changed)
        settings.changed.connect(self._on_settings)
        page.cursorPositionChanged.connect(self._on_caret_moved)
        page.document().contentsChanged.connect(self._on_contents_changed)

    # ---------------------------------------------------------------- the drafts

    @property
    def at_caret(self) -> DraftSession | None:
        """The draft whose place the caret is at."""
        cursor = self._page.textCursor()
        if cursor.hasSelection():
            return None
        place = cursor.position()
        return next((draft for draft in self.overlays if draft.placement.cursor.position() == place), None)

    @property
    def current(self) -> DraftSession | None:
        """The draft that the caret is at, else the newest."""
        return self.at_caret or next(reversed(self.overlays), None)

    @property
    def state(self) -> DraftState | None:
        """The current draft's; None without one."""
        return self.current.state if self.current else None

    def is_watched(self, draft: DraftSession) -> bool:
        """Whether the caret is at the draft, and in view."""
        page = self._page
        return self.at_caret is draft and page.viewport().rect().contains(page.cursorRect())

    @property
    def stalled(self) -> bool:
        """The engine does not move, in the current draft or in the load that it waits for."""
        draft = self.current
        return bool(draft and (draft.stalled or (draft.develops and self._model.stalled)))

    @property
    def can_bring_back(self) -> bool:
        """Whether there is one, and what it would replace still stands."""
        return not self.overlays and any(draft.placement.is_intact for draft in self.dropped)

    def go_to_draft(self, draft: DraftSession | None = None) -> None:
        """Put the caret where that draft stands, or the current one."""
        if draft := draft or self.current:
            self._page.setTextCursor(QTextCursor(draft.placement.cursor))
            self.overlays[draft].geometry.scroll_into_view()
            self._page.setFocus()
            self.reached.emit()

    def discard_all(self) -> None:
        for number, draft in enumerate(list(self.overlays)):
            self._discards_all = number > 0  # all can be brought back together
            draft.discard()
        self._discards_all = False

    def wait_longer(self) -> None:
        """The writer gives a stuck engine more time."""
        for draft in list(self.overlays):
            draft.set_stalled(False)
        self._model.wait_longer()

    def restart_engine(self) -> None:
        """End the stuck engine; its drafts fail, and the next one starts it afresh."""
        if not self._model.restart_engine():
            self.discard_all()

    async def close(self) -> None:
        """Give up everything that runs, and wait until it has ended."""
        self.discard_all()
        await self.requests.close()

    # ---------------------------------------------------------------- the life of a draft

    def add(self, draft: DraftSession, overlay: DraftOverlay) -> None:
        self.overlays[draft] = overlay
        draft.changed.connect(partial(self._on_changed, draft))
        draft.settled.connect(partial(self._on_settled, draft))
        draft.putting_in.connect(partial(self.putting_in.emit, draft))
        draft.failed.connect(self.failed)

    def _on_settled(self, draft: DraftSession, _shown: Variant, is_new: bool) -> None:
        if is_new:
            self.settled.emit(draft)

    def _on_changed(self, draft: DraftSession) -> None:
        if draft.state is DraftState.ENDED and (overlay := self.overlays.pop(draft, None)):
            overlay.close()
            self.ended.emit(draft)
            comes_back = bool(draft.variants) and not draft.kept
            former, self.dropped = self.dropped, [draft] * comes_back
            if self._discards_all:
                former, self.dropped = [], [*former, *self.dropped]
            for ended in [*former, *[draft] * (not comes_back)]:
                ended.deleteLater()
        elif overlay := self.overlays.get(draft):
            selected = draft.words.selected if draft.words else None
            pinned = draft.words.held if draft.words else ()
            corrected = draft.shown.corrected if draft.shown and draft.shows_corrections else ()
            overlay.mark(selected, pinned, corrected)
            overlay.mark_findings(*(draft.words.glitches, draft.words.facts) if draft.words else ((), ()))
        ready = self._model.ready
        if ready and self._told != ready.request_id and not ready.capabilities.instructions:
            in_vain = any(draft.instruction for draft in self.overlays)
            if in_vain and not any(draft.develops for draft in self.overlays):
                self._told = ready.request_id
                self.failed.emit(NOTES_NOT_READ)
        self.changed.emit()

    def _on_contents_changed(self) -> None:
        """A passage that the writer changes is the writer's: what would have replaced it goes."""
        for draft in list(self.overlays):
            if not draft.placement.is_intact:
                draft.discard()
                self.failed.emit(PASSAGE_CHANGED)
        if self.can_bring_back is not self._could_bring_back:
            self.changed.emit()

    def _on_model_leaving(self) -> None:
        for draft in list(self.overlays):
            draft.give_up()

    def _on_settings(self, chosen: Settings) -> None:
        for overlay in self.overlays.values():
            overlay.set_reduced_motion(reduces_motion(chosen.reduced_motion))

    def _on_caret_moved(self) -> None:
        if self.current is not self._told_current:
            self.changed.emit()

    def _on_told(self) -> None:
        self._told_current, self._could_bring_back = self.current, self.can_bring_back
