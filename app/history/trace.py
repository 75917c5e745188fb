"""The Trace: how one draft developed, step by step, in compact bytes and as JSON lines."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from functools import cached_property

import msgspec

from app.drafting.variant import DevelopingVariant
from engine.protocol.codec import encode as encode_event
from engine.protocol.errors import FaultError
from engine.protocol.events import Cancelled, Committed, Event, Finished, Frame, Ready, Stats, Token
from engine.protocol.requests import Span

FORMAT = 1
_MARK = b"MZT"
"""What the bytes of every format begin with; the format's number is the next one."""
MOST_STEPS = 600
"""More are thinned out: four canvases of 128 steps fit."""
_MOST_BYTES = 32_000_000
"""Of a trace without its compression: far more than it can have."""
_POSITION_BYTES = 6
_REQUEST_ID = "replay"

# Entropies have 256 levels, close together where ink tells them apart: 0.001 nats at 0, 0.2 at the most.
_GRAIN, _MOST_NATS = 16.0, 12.6
_SCALE = 255 / math.log2(1 + _GRAIN * _MOST_NATS)
_NATS = tuple(round((2 ** (level / _SCALE) - 1) / _GRAIN, 4) for level in range(256))


class Step(msgspec.Struct, frozen=True, array_like=True):
    """What one denoising step showed."""

    canvas: int
    step: int
    elapsed_s: float
    positions: bytes
    """The index of each one's text, then each one's level of entropy, then whether each is accepted (1) and
    pinned (2)."""


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
    corrected: tuple[Span, ...] = ()
    """Parts of the text that had been accepted as something else."""
    stats: Stats | None = None
    ready: Ready | None = None
    """The model."""

    # ---------------------------------------------------------------- what a step showed

    def tokens(self, index: int) -> tuple[Token, ...]:
        """The canvas of a step."""
        positions = self.steps[index].positions
        count = len(positions) // _POSITION_BYTES
        fields = struct.unpack(f"<{count}I{count}B{count}B", positions)
        columns = zip(fields[:count], fields[count : 2 * count], fields[2 * count :], strict=True)
        return tuple(
            Token(self.texts[text], _NATS[level], bool(flags & 1), bool(flags & 2))
            for text, level, flags in columns
        )

    def draft_at(self, index: int) -> DevelopingVariant:
        """The draft as it stood after a step, with what was committed by then."""
        step = self.steps[index]
        developing = DevelopingVariant(0, committed="".join(self.committed[: step.canvas]))
        developing.take(self._frame(index))
        return developing

    @cached_property
    def uncertainty(self) -> list[float]:
        """The mean entropy of each step's free positions, in nats."""
        free = ([t.entropy for t in self.tokens(n) if not t.pinned] for n in range(len(self.steps)))
        return [sum(each) / len(each) if each else 0.0 for each in free]

    @cached_property
    def accepted(self) -> list[float]:
        """Which share of its positions each step accepted, 0 … 1."""
        tokens = (self.tokens(n) for n in range(len(self.steps)))
        return [sum(t.accepted or t.pinned for t in each) / max(1, len(each)) for each in tokens]

    @cached_property
    def _corrections(self) -> list[frozenset[int]]:
        found, canvas = [], -1
        seen: dict[int, set[str]] = {}
        for index, step in enumerate(self.steps):
            if step.canvas != canvas:
                seen, canvas = {}, step.canvas
            tokens = self.draft_at(index).tokens
            found.append(
                frozenset(at for at, t in enumerate(tokens) if t.text and seen.get(at, {t.text}) != {t.text})
            )
            for at, token in enumerate(tokens):
                if token.accepted and step.step:
                    seen.setdefault(at, set()).add(token.text)
        return found

    def corrected_at(self, index: int) -> frozenset[int]:
        """Those of `draft_at(index).tokens` that an earlier step had accepted as something else."""
        return self._corrections[index]

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
        for step in self.steps:
            count, rest = divmod(len(step.positions), _POSITION_BYTES)
            if rest or max(struct.unpack_from(f"<{count}I", step.positions), default=-1) >= len(self.texts):
                raise ValueError(f"step {step.step} of canvas {step.canvas} is not whole")
            if not canvas <= step.canvas <= len(self.committed):
                raise ValueError(f"canvas {step.canvas} comes out of turn")
            canvas = step.canvas


class Recording:
    """A draft's trace while it is being taken down."""

    def __init__(self, ready: Ready | None) -> None:
        self._ready = ready
        self._texts: dict[str, int] = {}
        self._steps: list[Step] = []
        self._committed: list[str] = []
        self._max_steps = 0
        self._finished: Finished | None = None

    def take(self, event: Frame | Committed | Finished) -> None:
        match event:
            case Frame():
                if len(self._steps) == MOST_STEPS:
                    del self._steps[1::2]
                self._max_steps = event.max_steps
                self._steps.append(self._step(event))
            case Committed():
                self._committed.append(event.text)
            case Finished():
                self._finished = event

    def _step(self, frame: Frame) -> Step:
        texts, tokens, count = self._texts, frame.tokens, len(frame.tokens)
        positions = struct.pack(
            f"<{count}I{count}B{count}B",
            *[texts.setdefault(token.text, len(texts)) for token in tokens],
            *[_level(token.entropy) for token in tokens],
            *[token.accepted + 2 * token.pinned for token in tokens],
        )
        return Step(frame.canvas, frame.step, frame.elapsed_s, positions)

    def trace(self) -> Trace:
        finished = self._finished
        return Trace(
            texts=tuple(self._texts),
            steps=tuple(self._steps),
            max_steps=self._max_steps,
            committed=tuple(self._committed),
            text=finished.text if finished else None,
            corrected=finished.corrected if finished else (),
            stats=finished.stats if finished else None,
            ready=self._ready,
        )


def _level(nats: float) -> int:
    return round(_SCALE * math.log2(1 + _GRAIN * min(max(nats, 0.0), _MOST_NATS)))
