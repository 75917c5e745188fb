"""Constraints on a canvas: pins, banned tokens, a text to begin from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CanvasConstraints:
    """What the writer gives a canvas: pins by position; banned ids, which may not come before position
    banned_before; start, (canvas,) ids to begin from, the share strength of them renoised.
    """

    pins: Mapping[int, int] = field(default_factory=dict)
    banned: Collection[int] = ()
    banned_before: int = 0
    start: Sequence[int] | None = None
    strength: float = 1.0
