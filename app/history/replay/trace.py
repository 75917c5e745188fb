"""The Trace: how one draft developed, step by step, in compact bytes and as JSON lines."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby

import msgspec

from app.editor.draft_layout import sure_beginning
from app.editor.extent import within
from app.history.replay.step import Step
from engine.protocol.codec import encode as encode_event
from engine.protocol.errors import FaultError
from engine.protocol.events import Cancelled, Committed, Event, Finished, Frame, Ready, Stats, Token
from engine.protocol.requests import Extent, Span

FORMAT = 1
_MARK = b"MZT"
"""What the bytes of every format begin with; the format's number is the next one."""
MOST_STEPS = 600
"""More are thinned out: four canvases of 128 steps fit."""
_MOST_BYTES = 32_000_000
"""Of a trace without its compression: far more than it can have."""
_REQUEST_ID = "replay"


class Trace(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The steps of one draft of a place."""

    texts: tuple[str, ...] = ()
    """Each that a position had."""
    steps: tuple[Step, ...] = ()
    max_steps: int = 0
    """Of a canvas."""
    committed: tuple[str, ...] = ()
    """The text of each canvas that was finished."""
    text: str | None = None
    """In the model's own characters; None of a draft that was stopped or failed."""
    extent: Extent = "paragraphs"
    """The most that is shown of the text."""
    corrected: tuple[Span, ...] = ()
    """Parts of the text that had been accepted as something else."""
    stats: Stats | None = None
    ready: Ready | None = None
    """The model."""

    # ---------------------------------------------------------------- what a step showed

    def tokens(self, index: int) -> tuple[Token, ...]:
        """The canvas of a step."""
        return self.steps[index].tokens(self.texts)

    def shown_at(self, index: int) -> tuple[Token, ...]:
        """The draft as it stood after a step, with what was committed before its canvas as the first token.
        What does not belong to its extent is empty.
        """
        committed = "".join(self.committed[: self.steps[index].canvas])
        tokens = (Token(committed, 0.0, True, False), *self.tokens(index))
        sure = len(tokens) if self.is_settled_at(index) else sure_beginning(tokens)
        texts = within(self.extent, [token.text for token in tokens], sure)
        return tuple(
            Token(text, token.entropy, token.accepted, token.pinned)
            for text, token in zip(texts, tokens, strict=True)
        )

    @cached_property
    def measures(self) -> list[tuple[float, float]]:
        """Of each step: the mean entropy in nats, without the pinned positions, and which share is accepted.
        Of the positions that make up the text in the end.
        """
        found: list[tuple[float, float]] = []
        for index, count in enumerate(self._own):
            own = self.tokens(index)[:count]
            nats = [token.entropy for token in own if not token.pinned]
            accepted = sum(token.accepted or token.pinned for token in own)
            found.append((sum(nats) / max(1, len(nats)), accepted / max(1, len(own))))
        return found

    @cached_property
    def _own(self) -> list[int]:
        """Of each step: how many positions make up the text in the end; all, where there is none."""
        found: list[int] = []
        for first, last in self._canvases:
            tokens = self.shown_at(last)[1:]
            shown = [at for at, token in enumerate(tokens) if token.text.strip()]
            found += [shown[-1] + 1 if shown else len(tokens)] * (last + 1 - first)
        return found

    @property
    def _canvases(self) -> list[tuple[int, int]]:
        """The first and the last step of each."""
        runs = groupby(range(len(self.steps)), key=lambda index: self.steps[index].canvas)
        indexes = [list(run) for _, run in runs]
        return [(run[0], run[-1]) for run in indexes]

    @cached_property
    def _corrections(self) -> list[frozenset[int]]:
        """Of each step: the positions that an earlier one had accepted as something else."""
        found = []
        for first, last in self._canvases:
            accepted: dict[int, set[str]] = {}
            for index in range(first, last + 1):
                tokens = self.tokens(index)
                found.append(
                    frozenset(at for at, t in enumerate(tokens) if accepted.get(at, set()) - {t.text})
                )
                for at, token in enumerate(tokens):
                    if token.accepted and self.steps[index].step:
                        accepted.setdefault(at, set()).add(token.text)
        return found

    def corrected_at(self, index: int) -> frozenset[int]:
        """Those of `shown_at(index)` that an earlier step had accepted as something else."""
        shown = self.shown_at(index)
        ends = self._own[index]
        found = (at for at in self._corrections[index] if at < ends)
        return frozenset(at + 1 for at in found if shown[at + 1].text.strip())

    def is_settled_at(self, index: int) -> bool:
        """Whether the draft was finished by that step."""
        return self.text is not None and index + 1 == len(self.steps)

    def until(self, canvas: int, step: int) -> Trace:
        """What of it had come by that step."""
        steps = tuple(each for each in self.steps if (each.canvas, each.step) <= (canvas, step))
        return Trace(
            texts=self.texts,
            steps=steps,
            max_steps=self.max_steps,
            committed=self.committed[:canvas],
            extent=self.extent,
            ready=self.ready,
        )

    # ---------------------------------------------------------------- as events

    def events(self) -> Iterator[Event]:
        """As the engine told them: ReplayEngine plays them."""
        if self.ready:
            yield self.ready
        for index, step in enumerate(self.steps):
            yield self._frame(index)
            ends = index + 1 == len(self.steps) or self.steps[index + 1].canvas > step.canvas
            if ends and step.canvas < len(self.committed):
                text = self.committed[step.canvas]
                yield Committed(request_id=_REQUEST_ID, variant=0, canvas=step.canvas, text=text)
        if self.text is None or self.stats is None:
            yield Cancelled(request_id=_REQUEST_ID)
        else:
            yield Finished(
                request_id=_REQUEST_ID, variant=0, text=self.text, stats=self.stats, corrected=self.corrected
            )

    def json_lines(self) -> bytes:
        return b"".join(map(encode_event, self.events()))

    def _frame(self, index: int) -> Frame:
        step = self.steps[index]
        return Frame(
            request_id=_REQUEST_ID,
            variant=0,
            canvas=step.canvas,
            step=step.step,
            max_steps=self.max_steps,
            elapsed_s=step.elapsed_s,
            tokens=self.tokens(index),
        )

    # ---------------------------------------------------------------- as bytes

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        return sum(len(each.positions) for each in self.steps) + 60 * len(self.texts)

    def encode(self) -> bytes:
        return _MARK + bytes([FORMAT]) + zlib.compress(msgspec.msgpack.encode(self))

    @classmethod
    def decode(cls, data: bytes) -> Trace:
        """Raises FaultError for what is no trace, is not whole, or is a newer version's."""
        if data[: len(_MARK)] == _MARK and len(data) > len(_MARK) and data[len(_MARK)] > FORMAT:
            message = "These steps were recorded by a newer version of Mezzotint."
            raise FaultError("trace", message, "Update Mezzotint to see them.")
        try:
            if not data.startswith(_MARK + bytes([FORMAT])):
                raise ValueError("it does not begin as a trace does")
            inflate = zlib.decompressobj()
            packed = inflate.decompress(data[len(_MARK) + 1 :], _MOST_BYTES)
            if not inflate.eof:
                raise ValueError("it is cut off, or too long")
            trace = msgspec.msgpack.decode(packed, type=cls)
            trace._check()
        except (ValueError, zlib.error, RecursionError) as error:
            message = "The steps of this draft cannot be shown: their record is damaged."
            raise FaultError("trace", message, "The draft’s text is not.", str(error)) from error
        return trace

    def _check(self) -> None:
        """Raises ValueError where a step names what is not there."""
        canvas = 0
        if len(self.steps) > MOST_STEPS:
            raise ValueError(f"{len(self.steps)} steps are too many")
        for step in self.steps:
            if not step.is_whole(self.texts):
                raise ValueError(f"step {step.step} of part {step.canvas} is not whole")
            if not canvas <= step.canvas <= len(self.committed):
                raise ValueError(f"part {step.canvas} comes out of turn")
            canvas = step.canvas
