"""A Step of a trace, packed: six bytes for each position of its canvas."""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from engine.protocol.events import Frame, Token

_POSITION_BYTES = 6

# Entropies have 256 levels, close together where ink tells them apart: 0.001 nats at 0, 0.2 at the most.
_GRAIN, _MOST_NATS = 16.0, 12.6
_SCALE = 255 / math.log2(1 + _GRAIN * _MOST_NATS)
_NATS = tuple(round((2 ** (level / _SCALE) - 1) / _GRAIN, 4) for level in range(256))
_LEVEL_ENDS = [(low + high) / 2 for low, high in pairwise(_NATS)]


class Step(msgspec.Struct, frozen=True, array_like=True):
    """What one denoising step showed."""

    canvas: int
    step: int
    elapsed_s: float
    positions: bytes
    """The index of each one's text, then each one's level of entropy, then whether each is accepted (1) and
    pinned (2)."""

    @classmethod
    def of(cls, frame: Frame, texts: dict[str, int]) -> Step:
        """texts: the index of each text so far; new ones are added."""
        tokens, count = frame.tokens, len(frame.tokens)
        positions = struct.pack(
            f"<{count}I{count}B{count}B",
            *[texts.setdefault(token.text, len(texts)) for token in tokens],
            *[bisect_left(_LEVEL_ENDS, token.entropy) for token in tokens],
            *[token.accepted + 2 * token.pinned for token in tokens],
        )
        return cls(frame.canvas, frame.step, frame.elapsed_s, positions)

    def tokens(self, texts: Sequence[str]) -> tuple[Token, ...]:
        """texts: by their index."""
        count = len(self.positions) // _POSITION_BYTES
        fields = struct.unpack(f"<{count}I{count}B{count}B", self.positions)
        columns = zip(fields[:count], fields[count : 2 * count], fields[2 * count :], strict=True)
        return tuple(
            Token(texts[text], _NATS[level], bool(flags & 1), bool(flags & 2))
            for text, level, flags in columns
        )

    def is_whole(self, texts: Sequence[str]) -> bool:
        count, rest = divmod(len(self.positions), _POSITION_BYTES)
        indexes = struct.unpack_from(f"<{count}I", self.positions)
        return not rest and max(indexes, default=-1) < len(texts)
