"""The DraftController: the drafts of one page."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QTextCursor

from app.documents.text import text_between, utf16_length
from app.drafting.draft_requests import DraftRequests
from app.drafting.draft_session import DraftSession, DraftState, Outcome, Variant
from app.drafting.verbs import BRIDGE, DRAFT, FILL_IN_LINE, Verb
from app.editor.draft_overlay import DraftOverlay
from app.editor.page import Page
from app.editor.passages import crosses_a_fence, whole_words, writer_gaps
from app.editor.placement import PassagePlacement, Placement, ReplacingPlacement, end_of_word
from app.settings.schema import Settings
from app.settings.store import SettingsStore
from app.widgets.theme import reduces_motion
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from engine.protocol.errors import Fault
from engine.protocol.requests import Span

NOTHING_SELECTED = Fault("input", "There are no words to draft anew.", "Select a phrase or a paragraph.")
HALF_A_CODE_BLOCK = Fault(
    "input",
    "The selection has one end of a code block.",
    "Select it whole, or text beside it.",
)
NOTHING_TO_BRIDGE = Fault(
    "input", "A bridge needs text on both sides.", "Put the caret between two passages."
)
NO_GAPS = Fault(
    "input", "There are no gaps to draft.", "Write [[what belongs there]] where text should come."
)
NOTES_NOT_READ = Fault(
    "instructions",
    "This model cannot read what you ask for, nor the notes in the gaps.",
    "It goes on from your text alone.",
)
PASSAGE_CHANGED = Fault("input", "You changed the passage, so its new version was let go.", "")
FIRST_RESERVED_LINES = (2, 4, 8, 12, 16)
"""Lines kept free for a draft of each length before the first one has told how long they are."""


class DraftController(QObject):
    """Begins drafts and shows each one in the page, until it has ended."""

    changed = Signal()
    """A draft, or which one is the current one."""
    failed = Signal(Fault)
    reached = Signal()
    """The writer went to the current draft."""

    def __init__(
        self, page: Page, worker: EngineThread, model: ModelSession, settings: SettingsStore, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._page = page
        self._model = model
        self._settings = settings
        self.requests = DraftRequests(worker, model, settings, self)
        self.overlays: dict[DraftSession, DraftOverlay] = {}
        """How each draft is shown in the page; the oldest first."""
        self._recent_lines: dict[int, deque[int]] = {}
        """Of the drafts that settled last, by the length that was chosen."""
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
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(keys), page, self.draft)

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

    # ---------------------------------------------------------------- what the writer does

    def draft(self) -> None:
        """Draft at the caret. Where there is a draft already: keep it if it is settled and the caret is at it
        and in view, else go to it.
        """
        draft = self.current
        if draft is None:
            self.draft_at([self._page.textCursor()])
        elif draft.state is DraftState.SETTLED and self.is_watched(draft):
            self.keep()
        else:
            self.go_to_draft()

    def draft_as_asked(self, instruction: str) -> None:
        """Draft at the caret, or the current draft again, as the writer asks."""
        if draft := self.current:
            draft.instruction = instruction
            draft.retry()
        else:
            self.draft_at([self._page.textCursor()], instruction)

    def draft_at(self, cursors: Sequence[QTextCursor], instruction: str = "") -> None:
        """Draft at several places in one batch. What a cursor selects is all that its draft is given; the
        draft goes behind it.
        """
        drafts = []
        for cursor in cursors:
            at, selection = QTextCursor(cursor), ""
            if cursor.hasSelection():
                start, end = cursor.selectionStart(), cursor.selectionEnd()
                selection = text_between(self._page.document(), start, end).rstrip("\n")
                at.setPosition(start + utf16_length(selection))
            at = end_of_word(at)
            if cursor == self._page.textCursor():
                self._page.setTextCursor(at)
            drafts.append(self._open(Placement(at), DRAFT, selection, instruction))
        self._send(drafts)

    def redraft_selection(self, verb: Verb) -> None:
        """Draft the selected passage anew, in its place."""
        passage = whole_words(self._page.textCursor())
        if passage is None:
            self.failed.emit(NOTHING_SELECTED)
            return
        placement = PassagePlacement(passage)
        if draft := self._draft_over(*placement.bounds):
            self.go_to_draft(draft)
            return
        if crosses_a_fence(passage):
            self.failed.emit(HALF_A_CODE_BLOCK)
            return
        self._page.setTextCursor(QTextCursor(placement.cursor))
        self._send([self._open(placement, verb)])

    def _draft_over(self, start: int, end: int) -> DraftSession | None:
        """One whose place is among these, or touches them."""
        for draft in self.overlays:
            first, last = draft.placement.bounds
            bare = start == end or first == last
            if (first < end and start < last) or (bare and first <= end and start <= last):
                return draft
        return None

    def bridge(self) -> None:
        """Draft what leads from the text before the caret to the text behind it."""
        at = end_of_word(self._page.textCursor())
        placement = Placement(at)
        if draft := self._draft_over(*placement.bounds):
            self.go_to_draft(draft)
            return
        context = placement.context()
        if not (context.before.strip() and context.after.strip()):
            self.failed.emit(NOTHING_TO_BRIDGE)
            return
        self._page.setTextCursor(at)
        self._send([self._open(placement, BRIDGE)])

    def draft_all_gaps(self) -> None:
        """Draft all places that the writer has marked, as many at a time as the engine takes."""
        document = self._page.document()
        drafts = []
        for gap in writer_gaps(document):
            if self._draft_over(gap.start, gap.end):
                continue
            cursor = QTextCursor(document)
            cursor.setPosition(gap.start)
            cursor.setPosition(gap.end, QTextCursor.MoveMode.KeepAnchor)
            verb = DRAFT if gap.fills_its_line else FILL_IN_LINE
            drafts.append(self._open(ReplacingPlacement(cursor), verb, instruction=gap.note))
        if not drafts:
            self.failed.emit(NO_GAPS)
            return
        self._page.setTextCursor(QTextCursor(drafts[0].placement.cursor))
        most = self._model.max_batch
        for start in range(0, len(drafts), most):
            self.requests.send(drafts[start : start + most])

    def _send(self, drafts: list[DraftSession]) -> None:
        self.overlays[drafts[0]].scroll_into_view()
        self.requests.send(drafts)

    @property
    def redrafts(self) -> bool:
        """Whether the engine, as far as it is known, can draft between two texts."""
        ready = self._model.ready
        return ready is None or (ready.capabilities.pins and ready.capabilities.start_text)

    def turn_names(self) -> None:
        """Redraft the current passage with its names held, or no longer."""
        if (draft := self.current) and draft.shown:
            draft.holds_names = not draft.holds_names
            draft.retry()

    def keep(self) -> None:
        """Put the current draft in, or what is selected of it. A caret that is at it goes behind it."""
        if (draft := self.current) and (words := draft.words):
            self._keep(draft, words.selected if draft.can_part else None)

    def keep_sentence(self) -> None:
        """Put the first sentence of the current draft in."""
        if (draft := self.current) and draft.can_part and (words := draft.words):
            self._keep(draft, words.first_sentence)

    def _keep(self, draft: DraftSession, part: Span | None) -> None:
        """What is left of it stays a draft behind that part."""
        caret_was_there, shown, words = self.at_caret is draft, draft.shown, draft.words
        assert shown is not None
        assert words is not None
        text, rest, between = "", "", ""
        if part is not None:
            text = draft.placement.part(words.text[part.start : part.end])
            rest, between = words.without(part)
        if (behind := draft.keep(text if rest.strip() else "")) is None:
            return
        if rest.strip():
            placement = draft.placement.behind(behind, between)
            left = self._open(placement, draft.verb, draft.selection, draft.instruction)
            left.restore([Variant(placement.part(rest), shown.seed, shown.stats)], 0)
        if caret_was_there:
            self._page.setTextCursor(behind)
            if rest.strip():
                self.go_to_draft()

    def keep_all(self) -> None:
        """Put all settled drafts in, as one undo step."""
        settled = [(draft, shown.text) for draft in self.overlays if (shown := draft.shown)]
        for draft, _ in settled:
            draft.end(Outcome.KEPT)
        step = QTextCursor(self._page.document())
        step.beginEditBlock()
        for draft, text in settled:
            draft.placement.apply(text)
        step.endEditBlock()

    def discard_all(self) -> None:
        for number, draft in enumerate(list(self.overlays)):
            self._discards_all = number > 0  # all can be brought back together
            draft.discard()
        self._discards_all = False

    def bring_back(self) -> None:
        """What was discarded last, at its place."""
        if not self.can_bring_back:
            return
        for dropped in [draft for draft in self.dropped if draft.placement.is_intact]:
            placement, asked = dropped.placement.again(), dropped.instruction
            again = self._open(placement, dropped.verb, dropped.selection, asked)
            again.holds_names, again.retries = dropped.holds_names, dropped.retries
            again.restore(dropped.variants, dropped.shown_variant)
        self.go_to_draft()

    @property
    def can_bring_back(self) -> bool:
        """Whether there is one, and what it would replace still stands."""
        return not self.overlays and any(draft.placement.is_intact for draft in self.dropped)

    def go_to_draft(self, draft: DraftSession | None = None) -> None:
        """Put the caret where that draft stands, or the current one."""
        if draft := draft or self.current:
            self._page.setTextCursor(QTextCursor(draft.placement.cursor))
            self.overlays[draft].scroll_into_view()
            self._page.setFocus()
            self.reached.emit()

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

    def _open(
        self, placement: Placement, verb: Verb = DRAFT, selection: str = "", instruction: str = ""
    ) -> DraftSession:
        draft = DraftSession(
            placement, lambda draft: self.requests.send([draft]), self.requests.cancel, self, verb, selection
        )
        draft.instruction = instruction
        chosen = self._settings.current
        recent = self._recent_lines.get(chosen.length, [FIRST_RESERVED_LINES[chosen.length]])
        lines = self._page.lines_of(placement.passage) if verb.joins_after else statistics.median(recent)
        reduced = reduces_motion(chosen.reduced_motion)
        overlay = DraftOverlay(self._page, draft.placement, round(lines), reduced_motion=reduced)
        self.overlays[draft] = overlay
        draft.developed.connect(overlay.show)
        draft.restarted.connect(overlay.restart)
        draft.settled.connect(partial(self._on_settled, draft))
        draft.changed.connect(partial(self._on_changed, draft))
        draft.failed.connect(self.failed)
        return draft

    def _on_settled(self, draft: DraftSession, variant: Variant, is_new: bool) -> None:
        overlay = self.overlays[draft]
        overlay.settle(variant.text, variant.tokens)
        if is_new:
            if not draft.verb.joins_after:
                recent = self._recent_lines.setdefault(self._settings.current.length, deque(maxlen=8))
                recent.append(overlay.line_count)
            self._page.announce("The draft is ready. Its facts are unchecked.")

    def _on_changed(self, draft: DraftSession) -> None:
        if draft.state is DraftState.ENDED and (overlay := self.overlays.pop(draft, None)):
            overlay.close()
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
