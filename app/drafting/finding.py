"""A Finding: a part of a settled draft that the writer should look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.protocol.requests import Span


@dataclass(frozen=True)
class Finding:
    kind: Literal["glitch", "fact"]
    """What is broken and can be drafted anew; what the writer's text does not say."""
    span: Span
    reason: str
    """For the writer, in a few words."""
