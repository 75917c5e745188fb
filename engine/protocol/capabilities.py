"""EngineCapabilities: what an engine can do, told in Ready."""

from __future__ import annotations

from typing import Literal

import msgspec


class EngineCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """An engine can do what it says it can; the app offers nothing else."""

    frames: bool = False
    """Shows each step, not only the text."""
    pins: bool = False
    start_text: bool = False
    instructions: bool = False
    """Follows DraftPlace.instruction and reads DraftPlace.after: the tokenizer has a chat template."""
    reads_ahead: bool = False
    """Answers PrepareRequest."""
    max_batch: int = 1
    """The most drafts in one request: places · variants."""
    where: Literal["this computer", "network"] = "this computer"
    """Where the writer's text goes."""


OF_OLD = EngineCapabilities(frames=True, pins=True, start_text=True, reads_ahead=True, max_batch=8)
"""Of the engines whose traces tell nothing of it."""
