"""The DraftCommands: what the writer does with the drafts of a page."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QObject
from PySide6.QtGui import QKeySequence, QShortcut, QTextCursor

from app.documents.text import cursor_over
from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession, DraftState, Outcome
from app.drafting.variant import Variant
from app.drafting.verbs import BRIDGE, DRAFT, FILL_IN_LINE, Verb
from app.editor.draft_overlay import DraftOverlay
from app.editor.page import Page
from app.editor.passages import crosses_a_fence, whole_words, writer_gaps
from app.editor.placement import PassagePlacement, Placement, ReplacingPlacement, draft_source, end_of_word
from app.settings.store import SettingsStore
from app.widgets.theme import reduces_motion
from app.worker.model_session import ModelSession
from engine.protocol.errors import Fault
from engine.protocol.requests import DraftRequest, Span

NOTHING_SELECTED = Fault("input", "There are no words to draft anew.", "Select a phrase or a paragraph.")
HALF_A_CODE_BLOCK = Fault(
    "input", "The selection has one end of a code block.", "Select it whole, or text beside it."
)
NOTHING_TO_BRIDGE = Fault(
    "input", "A bridge needs text on both sides.", "Put the caret between two passages."
)
NO_GAPS = Fault(
    "input", "There are no gaps to draft.", "Write [[what belongs there]] where text should come."
)
FIRST_RESERVED_LINES = (2, 4, 8, 12, 16)
"""Lines kept free for a draft of each length before the first one has told how long they are."""


class DraftCommands(QObject):
    """Begin drafts, keep them, bring them back."""

    def __init__(
        self, page: Page, model: ModelSession, settings: SettingsStore, drafts: DraftController
    ) -> None:
        super().__init__(drafts)
        self._page = page
        self._model = model
        self._settings = settings
        self._drafts = drafts
        self._recent_lines: dict[int, deque[int]] = {}
        """Of the drafts that settled last, by the length that was chosen."""
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(keys), page, self.draft)

    # ---------------------------------------------------------------- begin

    def draft(self) -> None:
        """Draft at the caret. Where there is a draft already: keep it if it is settled and the caret is at it
        and in view, else go to it.
        """
        draft = self._drafts.current
        if draft is None:
            self.draft_at([self._page.textCursor()])
        elif draft.state is DraftState.SETTLED and self._drafts.is_watched(draft):
            self.keep()
        else:
            self._drafts.go_to_draft()

    def draft_as_asked(self, instruction: str) -> None:
        """Draft at the caret, or the current draft again, as the writer asks."""
        if draft := self._drafts.current:
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
            selection, at = draft_source(cursor)
            if cursor == self._page.textCursor():
                self._page.setTextCursor(at)
            drafts.append(self._open(Placement(at), DRAFT, selection, instruction))
        self._send(drafts)

    def draft_again(self, request: DraftRequest, label: str, instruction: str) -> DraftSession | None:
        """Draft at the caret what was asked for once, with the same seed. label: of what it was. None where a
        draft stands there already, which is gone to.
        """
        at = end_of_word(self._page.textCursor())
        placement = Placement(at)
        if draft := self._draft_over(*placement.bounds):
            self._drafts.go_to_draft(draft)
            return None
        self._page.setTextCursor(at)
        draft = self._open(placement, replace(DRAFT, label=label), instruction=instruction)
        self._drafts.overlays[draft].geometry.scroll_into_view()
        self._drafts.requests.send_again(draft, request)
        return draft

    def redraft_selection(self, verb: Verb) -> None:
        """Draft the selected passage anew, in its place."""
        passage = whole_words(self._page.textCursor())
        if passage is None:
            self._drafts.failed.emit(NOTHING_SELECTED)
            return
        placement = PassagePlacement(passage)
        if draft := self._draft_over(*placement.bounds):
            self._drafts.go_to_draft(draft)
            return
        if crosses_a_fence(passage):
            self._drafts.failed.emit(HALF_A_CODE_BLOCK)
            return
        self._page.setTextCursor(QTextCursor(placement.cursor))
        self._send([self._open(placement, verb)])

    def _draft_over(self, start: int, end: int) -> DraftSession | None:
        """One whose place is among these, or touches them."""
        for draft in self._drafts.overlays:
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
            self._drafts.go_to_draft(draft)
            return
        context = placement.context()
        if not (context.before.strip() and context.after.strip()):
            self._drafts.failed.emit(NOTHING_TO_BRIDGE)
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
            placement = ReplacingPlacement(cursor_over(document, gap.start, gap.end))
            verb = DRAFT if gap.fills_its_line else FILL_IN_LINE
            drafts.append(self._open(placement, verb, instruction=gap.note))
        if not drafts:
            self._drafts.failed.emit(NO_GAPS)
            return
        self._page.setTextCursor(QTextCursor(drafts[0].placement.cursor))
        most = self._model.max_batch
        for start in range(0, len(drafts), most):
            self._drafts.requests.send(drafts[start : start + most])

    def _send(self, drafts: list[DraftSession]) -> None:
        self._drafts.overlays[drafts[0]].geometry.scroll_into_view()
        self._drafts.requests.send(drafts)

    @property
    def redrafts(self) -> bool:
        """Whether the engine, as far as it is known, can draft between two texts."""
        ready = self._model.ready
        return ready is None or (ready.capabilities.pins and ready.capabilities.start_text)

    # ---------------------------------------------------------------- keep, bring back

    def keep(self) -> None:
        """Put the current draft in, or what is selected of it. A caret that is at it goes behind it."""
        if (draft := self._drafts.current) and (words := draft.words):
            self._keep(draft, words.selected if draft.can_part else None)

    def keep_sentence(self) -> None:
        """Put the first sentence of the current draft in."""
        if (draft := self._drafts.current) and draft.can_part and (words := draft.words):
            self._keep(draft, words.first_sentence)

    def _keep(self, draft: DraftSession, part: Span | None) -> None:
        """What is left of it stays a draft behind that part."""
        caret_was_there, shown, words = self._drafts.at_caret is draft, draft.shown, draft.words
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
            text = placement.part(rest)
            left.restore([Variant(text, shown.seed, shown.stats, made_as=shown.made_as, is_rest=True)], 0)
        if caret_was_there:
            self._page.setTextCursor(behind)
            if rest.strip():
                self._drafts.go_to_draft()

    def keep_all(self) -> None:
        """Put all settled drafts in, as one undo step."""
        settled = [(draft, shown.text) for draft in self._drafts.overlays if (shown := draft.shown)]
        for draft, _ in settled:
            draft.end(Outcome.KEPT)
        step = QTextCursor(self._page.document())
        step.beginEditBlock()
        for draft, text in settled:
            draft.put_in(text)
        step.endEditBlock()

    def bring_back(self) -> None:
        """What was discarded last, at its place."""
        if not self._drafts.can_bring_back:
            return
        for dropped in [draft for draft in self._drafts.dropped if draft.placement.is_intact]:
            placement, asked = dropped.placement.again(), dropped.instruction
            again = self._open(placement, dropped.verb, dropped.selection, asked)
            again.holds_names, again.retries = dropped.holds_names, dropped.retries
            again.restore(dropped.variants, dropped.shown_variant)
        self._drafts.go_to_draft()

    # ---------------------------------------------------------------- in the page

    def _open(
        self, placement: Placement, verb: Verb = DRAFT, selection: str = "", instruction: str = ""
    ) -> DraftSession:
        requests = self._drafts.requests
        draft = DraftSession(
            placement, lambda draft: requests.send([draft]), requests.cancel, self._drafts, verb, selection
        )
        draft.instruction = instruction
        chosen = self._settings.current
        recent = self._recent_lines.get(chosen.length, [FIRST_RESERVED_LINES[chosen.length]])
        lines = self._page.lines_of(placement.passage) if verb.joins_after else statistics.median(recent)
        reduced = reduces_motion(chosen.reduced_motion)
        overlay = DraftOverlay(self._page, draft.placement, round(lines), reduced_motion=reduced)
        draft.developed.connect(overlay.show)
        draft.restarted.connect(overlay.restart)
        draft.settled.connect(partial(self._on_settled, draft, overlay))
        self._drafts.add(draft, overlay)
        return draft

    def _on_settled(self, draft: DraftSession, overlay: DraftOverlay, variant: Variant, is_new: bool) -> None:
        overlay.settle(variant.text, variant.tokens)
        if is_new:
            if not draft.verb.joins_after:
                recent = self._recent_lines.setdefault(self._settings.current.length, deque(maxlen=8))
                recent.append(overlay.geometry.line_count)
            self._page.announce("The draft is ready. Its facts are unchecked.")
