"""The DraftSession: one draft at one place, from the request to keep or discard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from time import monotonic
from typing import assert_never

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor

from app.drafting.draft_words import DraftWords
from app.drafting.variant import DevelopingVariant, Variant, finished_variants, stopped_variants
from app.drafting.verbs import DRAFT, Verb
from app.editor.placement import Placement
from engine.protocol.errors import Fault
from engine.protocol.events import (
    Cancelled,
    Committed,
    Denoising,
    Event,
    Failed,
    Finished,
    Frame,
    LinkMeasured,
    Loading,
    Prefilled,
    Prefilling,
    Ready,
)
from engine.protocol.requests import Span

NOTHING_TO_ADD = Fault(
    "output", "The model had nothing to add here.", "Try again, or write a few more words first."
)


class DraftState(Enum):
    PREPARING = "preparing"
    DENOISING = "denoising"
    SETTLED = "settled"
    ENDED = "ended"
    """Kept, discarded, or come to nothing: the place is bare."""


class Outcome(Enum):
    """How a draft, or one try at it, ends."""

    FINISHED = "finished"
    STOPPED = "stopped"
    """The writer takes what stands."""
    GIVEN_UP = "given up"
    """It failed, or its model goes: the variant before it comes back."""
    KEPT = "kept"
    DISCARDED = "discarded"


class DraftSession(QObject):
    """No widget: what is to be seen goes out by signals.

    send: asks the engine for another draft of this session; cancel: gives up the one that is asked for.
    """

    changed = Signal()
    """The state, the step or the variant shown is another one."""
    developed = Signal(tuple)
    """The tokens of the newest frame, with what is committed before them as the first one."""
    settled = Signal(Variant, bool)
    """What is shown now, as it will be kept, and whether it is new."""
    restarted = Signal()
    putting_in = Signal(str)
    """What is about to be kept of it, the text as it was."""
    failed = Signal(Fault)
    """The model had nothing to add. What fails otherwise is the request's, for all its places."""

    def __init__(
        self,
        placement: Placement,
        send: Callable[[DraftSession], None],
        cancel: Callable[[DraftSession], None],
        parent: QObject,
        verb: Verb = DRAFT,
        selection: str = "",
    ) -> None:
        """selection: the text to draft from, in place of what stands around."""
        super().__init__(parent)
        self.placement = placement
        self.verb = verb
        self.selection = selection
        self.instruction = ""
        """What the writer asks for, in words."""
        self.holds_names = True
        """Quotations, names and numbers of a passage stay."""
        self.pinned_text, self.pinned = "", tuple[Span, ...]()
        """A draft, and the parts of it that stay in the next one."""
        self.mends = False
        """The next one has the length of that draft, and differs from it in the other parts only."""
        self.shows_corrections = False
        self.kept = False
        self.request_id: str | None = None
        """What the engine was asked for and has not ended yet."""
        self._send = send
        self._cancel = cancel
        self.state = DraftState.PREPARING
        self.step = self.max_steps = self.canvas = 0
        self.read_share = 0.0
        """Of the text, while the engine reads it for long."""
        self.step_share = 0.0
        """Of the step after the one that is shown, where steps take long."""
        self.stalled = False
        self.retries = 0
        self.variants: list[Variant] = []
        """The oldest first."""
        self._words: dict[int, DraftWords] = {}
        self.shown_variant = 0
        self.asked_at_s = self.settled_at_s = 0.0
        """By the monotonic clock."""
        self._developing: list[DevelopingVariant] = []
        self._shown_before = 0

    @property
    def shown(self) -> Variant | None:
        """What is settled and shown."""
        return self.variants[self.shown_variant] if self.state is DraftState.SETTLED else None

    @property
    def count(self) -> int:
        """Of the variants, those that develop included."""
        return len(self.variants) + len(self._developing[: self._most_new])

    @property
    def _most_new(self) -> int | None:
        """Of the variants that develop, so many are shown: of mended ones only the best."""
        return 1 if self.mends else None

    @property
    def text(self) -> str | None:
        return self.shown.text if self.shown else None

    @property
    def words(self) -> DraftWords | None:
        """What the writer has picked in the one that is shown."""
        shown = self.shown
        return self._words.setdefault(self.shown_variant, DraftWords(shown.text)) if shown else None

    @property
    def can_part(self) -> bool:
        """Whether a part of it can be kept alone: what replaces a passage, replaces all of it."""
        return self.shown is not None and not self.placement.passage

    @property
    def develops(self) -> bool:
        return self.state in (DraftState.PREPARING, DraftState.DENOISING)

    # ---------------------------------------------------------------- what the writer does

    def retry(self) -> None:
        """Another draft in the same place, around what is pinned in the shown one; those before it stay
        within reach.
        """
        if words := self.words:
            self._draft_around(words.held, mends=False)

    def mend(self) -> None:
        """Another draft that differs from the shown one only in the words of its glitches."""
        if (words := self.words) and words.glitches:
            self._draft_around(words.around_glitches, mends=True)

    def _draft_around(self, held: tuple[Span, ...], *, mends: bool) -> None:
        assert self.text is not None
        self.retries += 1
        self.pinned, self.pinned_text = held, self.text if held else ""
        self.mends = mends and bool(held)
        self.restarted.emit()
        self._send(self)

    def stop(self) -> None:
        """What stands becomes the draft."""
        if self.develops:
            self.end(Outcome.STOPPED)

    def keep(self, part: str = "") -> QTextCursor | None:
        """Put the draft in, or that part alone, as one undo step → a cursor behind it."""
        if (shown := self.shown) is None:
            return None
        self.end(Outcome.KEPT)
        return self.put_in(part or shown.text)

    def put_in(self, text: str) -> QTextCursor:
        """One that was kept → a cursor behind it."""
        self.putting_in.emit(text)
        return self.placement.apply(text)

    def discard(self) -> None:
        """Leave no trace, in whatever state."""
        self.end(Outcome.DISCARDED)

    def show(self, index: int) -> None:
        """Another variant."""
        if self.state is DraftState.ENDED or not 0 <= index < self.count:
            return
        self.shown_variant, self.settled_at_s = index, monotonic()
        if index < len(self.variants):
            self.settled.emit(self.variants[index], False)
        else:
            self.restarted.emit()
            self._show_developing(self._developing[index - len(self.variants)])
        self.changed.emit()

    def _show_developing(self, developing: DevelopingVariant) -> None:
        self.step, self.canvas, self.step_share = developing.step, developing.canvas, 0.0
        self.developed.emit(developing.tokens)

    def give_up(self) -> None:
        """Without a draft: it failed, or its model goes."""
        if self.develops:
            self.end(Outcome.GIVEN_UP)

    def restore(self, variants: list[Variant], shown: int) -> None:
        """Those of a draft that was dropped."""
        self.variants, self.state = variants, DraftState.SETTLED
        self.show(shown)
        self.settled_at_s = 0.0  # it was there before: no key comes too early

    # ---------------------------------------------------------------- what the engine does

    def begin(self, request_id: str, seeds: Sequence[int], max_steps: int) -> None:
        """A draft was asked for, in as many variants as there are seeds. max_steps: 0 while it is the model's
        own.
        """
        self.request_id = request_id
        self._developing = [DevelopingVariant(seed) for seed in seeds]
        self._shown_before, self.shown_variant = self.shown_variant, len(self.variants)
        self.step, self.canvas, self.max_steps = 0, 0, max_steps
        self.read_share = self.step_share = 0.0
        self.asked_at_s = monotonic()
        self.stalled = False
        self._set_state(DraftState.PREPARING)

    def on_event(self, event: Event) -> None:
        """An event of this session's request and place."""
        self.stalled = False
        match event:
            case Frame() | Committed():
                developing = self._developing[event.variant]
                developing.take(event)
                if self.shown_variant == len(self.variants) + event.variant:
                    self._show_developing(developing)
                if isinstance(event, Frame):
                    self.max_steps = event.max_steps
                    self._set_state(DraftState.DENOISING)
            case Finished():
                self._developing[event.variant].finished = event
                if all(developing.finished for developing in self._developing):
                    self.request_id = None
                    new = finished_variants(self._developing, self.placement)
                    new = new[: self._most_new]
                    self.end(Outcome.FINISHED if new else Outcome.GIVEN_UP, new)
                    if not new:
                        self.failed.emit(NOTHING_TO_ADD)
            case Failed() | Cancelled():
                self.request_id = None
                self.end(Outcome.GIVEN_UP)
            case Prefilling():
                self.read_share = event.read_tokens / event.prompt_tokens
                self.changed.emit()
            case Denoising():
                self.step_share = event.share
                self.changed.emit()
            case Loading() | Ready() | Prefilled() | LinkMeasured():
                pass
            case _:
                assert_never(event)

    def set_stalled(self, stalled: bool) -> None:
        self.stalled = stalled
        self.changed.emit()

    def end(self, outcome: Outcome, new: Sequence[Variant] = ()) -> None:
        """The one way out of every state. What develops is given up; what is settled afterwards is the first
        of the new variants, or the one before them, unless the place is to be bare.
        """
        if self.request_id is not None:
            self._cancel(self)
            self.request_id = None
        watched = None
        if outcome is Outcome.STOPPED:
            new = stopped_variants(self._developing[: self._most_new], self.placement)
            watched = self._developing[max(0, self.shown_variant - len(self.variants))].seed
        elif not new:  # some may have finished before it was given up
            new = finished_variants(self._developing, self.placement)
        self._developing = []
        if new:
            of_watched = (n for n, variant in enumerate(new) if variant.seed == watched)
            self.shown_variant = len(self.variants) + next(of_watched, 0)
        elif self.shown_variant >= len(self.variants):
            self.shown_variant = self._shown_before
        self.variants += new
        self.kept = outcome is Outcome.KEPT
        if self.kept or outcome is Outcome.DISCARDED or not self.variants:
            self._set_state(DraftState.ENDED)
            return
        self.settled_at_s = monotonic()
        self.settled.emit(self.variants[self.shown_variant], bool(new))
        self._set_state(DraftState.SETTLED)

    def _set_state(self, state: DraftState) -> None:
        self.state = state
        self.changed.emit()
