"""The DraftSession: one draft at one place, from the request to keep or discard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import assert_never

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor

from app.editor.placement import Placement
from engine.protocol.errors import Fault
from engine.protocol.events import (
    Cancelled,
    Committed,
    Event,
    Failed,
    Finished,
    Frame,
    Loading,
    Prefilled,
    Ready,
    Stats,
    Token,
)

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


@dataclass(frozen=True)
class Variant:
    """A settled draft of a place."""

    text: str
    seed: int
    stats: Stats | None
    """None where the writer stopped it: it is unfinished."""
    tokens: tuple[Token, ...] = ()
    """Of an unfinished one: what stood when it was stopped."""


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
    failed = Signal(Fault)
    """The model had nothing to add. What fails otherwise is the request's, for all its places."""

    def __init__(
        self,
        placement: Placement,
        send: Callable[[DraftSession], None],
        cancel: Callable[[DraftSession], None],
        parent: QObject,
        selection: str = "",
    ) -> None:
        """selection: the text to draft from, in place of what stands around."""
        super().__init__(parent)
        self.placement = placement
        self.selection = selection
        self.kept = False
        self.request_id: str | None = None
        """What the engine was asked for and has not ended yet."""
        self._send = send
        self._cancel = cancel
        self.state = DraftState.PREPARING
        self.step = self.max_steps = 0
        self.stalled = False
        self.retries = 0
        self.variants: list[Variant] = []
        """The oldest first."""
        self.shown_variant = 0
        self.asked_at_s = self.settled_at_s = 0.0
        """By the monotonic clock."""
        self._seed = 0
        self._committed = self._standing = ""
        self._tokens: tuple[Token, ...] = ()

    @property
    def shown(self) -> Variant | None:
        """What is settled and shown."""
        return self.variants[self.shown_variant] if self.state is DraftState.SETTLED else None

    @property
    def text(self) -> str | None:
        return self.shown.text if self.shown else None

    @property
    def develops(self) -> bool:
        return self.state in (DraftState.PREPARING, DraftState.DENOISING)

    # ---------------------------------------------------------------- what the writer does

    def retry(self) -> None:
        """Another draft in the same place; those before it stay within reach."""
        if self.state is DraftState.SETTLED:
            self.retries += 1
            self.restarted.emit()
            self._send(self)

    def stop(self) -> None:
        """What stands becomes the draft."""
        if self.develops:
            self.end(Outcome.STOPPED)

    def keep(self) -> QTextCursor | None:
        """Put the draft in, as one undo step → a cursor behind it."""
        if (shown := self.shown) is None:
            return None
        self.end(Outcome.KEPT)
        return self.placement.apply(shown.text)

    def discard(self) -> None:
        """Leave no trace, in whatever state."""
        self.end(Outcome.DISCARDED)

    def show(self, index: int) -> None:
        """Another variant."""
        if self.state is DraftState.SETTLED and 0 <= index < len(self.variants):
            self.shown_variant, self.settled_at_s = index, monotonic()
            self.settled.emit(self.variants[index], False)
            self.changed.emit()

    def give_up(self) -> None:
        """Without a draft: it failed, or its model goes."""
        if self.develops:
            self.end(Outcome.GIVEN_UP)

    def restore(self, variants: list[Variant], shown: int) -> None:
        """Those of a draft that was dropped."""
        self.variants, self.state = variants, DraftState.SETTLED
        self.show(shown)

    # ---------------------------------------------------------------- what the engine does

    def begin(self, request_id: str, seed: int, max_steps: int) -> None:
        """A draft was asked for. max_steps: 0 while it is the model's own."""
        self.request_id, self._seed = request_id, seed
        self.step, self.max_steps = 0, max_steps
        self._committed, self._standing, self._tokens = "", "", ()
        self.asked_at_s = monotonic()
        self.stalled = False
        self._set_state(DraftState.PREPARING)

    def on_event(self, event: Event) -> None:
        """An event of this session's request and place."""
        self.stalled = False
        match event:
            case Frame():
                self.step, self.max_steps = event.step, event.max_steps
                tokens = (Token(self._committed, 0.0, True, False), *event.tokens)
                if event.step:
                    self._take(tokens)
                self.developed.emit(tokens)
                self._set_state(DraftState.DENOISING)
            case Committed():
                self._committed += event.text
                self._take((Token(self._committed, 0.0, True, False),))
                self.developed.emit(self._tokens)
            case Finished():
                self.request_id = None
                if text := self.placement.shown(event.text):
                    self.end(Outcome.FINISHED, text, event.stats)
                else:
                    self.end(Outcome.GIVEN_UP)
                    self.failed.emit(NOTHING_TO_ADD)
            case Failed() | Cancelled():
                self.request_id = None
                self.end(Outcome.GIVEN_UP)
            case Loading() | Ready() | Prefilled():
                pass
            case _:
                assert_never(event)

    def _take(self, tokens: tuple[Token, ...]) -> None:
        """What stands now, in the model's own characters."""
        self._tokens, self._standing = tokens, "".join(token.text for token in tokens)

    def set_stalled(self, stalled: bool) -> None:
        self.stalled = stalled
        self.changed.emit()

    def end(self, outcome: Outcome, text: str = "", stats: Stats | None = None) -> None:
        """The one way out of every state. What develops is given up; what is settled afterwards is the text,
        or the variant before it, unless the place is to be bare.
        """
        if self.request_id is not None:
            self._cancel(self)
            self.request_id = None
        stopped = outcome is Outcome.STOPPED
        if stopped:
            text = self.placement.shown(self._standing)
        is_new = bool(text.strip())
        if is_new:
            self.variants.append(Variant(text, self._seed, stats, self._tokens if stopped else ()))
            self.shown_variant = len(self.variants) - 1
        self.kept = outcome is Outcome.KEPT
        if self.kept or outcome is Outcome.DISCARDED or not self.variants:
            self._set_state(DraftState.ENDED)
            return
        self.settled_at_s = monotonic()
        self.settled.emit(self.variants[self.shown_variant], is_new)
        self._set_state(DraftState.SETTLED)

    def _set_state(self, state: DraftState) -> None:
        self.state = state
        self.changed.emit()
