"""Requests, app → engine."""

from __future__ import annotations

import msgspec

from engine.protocol.message import Message


class LoadRequest(Message, frozen=True, kw_only=True, tag="load"):
    """Load a model. model: a catalogue name or a folder; device: `auto`, `cpu`, `cuda:0`, `mps`, `xpu:0`, a
    GPU's UUID, or all cards' as one with a + between; precision: `auto`, or one of
    engine.checkpoints.precision.Precision; context_tokens: the budget of prompts to come, which `auto` leaves
    room for.
    """

    model: str
    device: str = "auto"
    precision: str = "auto"
    context_tokens: int | None = None


class DraftPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a text where a draft should come. after and instruction act only on a chat model."""

    before: str
    after: str = ""
    instruction: str = ""


class PrepareRequest(Message, frozen=True, kw_only=True, tag="prepare"):
    """Read the prompt of a draft to come, while nothing else is asked for. Answered by nothing.

    Any request that comes later ends it; what was read by then is kept.
    """

    before: str
    after: str = ""
    instruction: str = ""
    context_tokens: int | None = None


class DraftRequest(Message, frozen=True, kw_only=True, tag="draft"):
    """Draft `canvases` canvases between two texts. None means: the model's own default.

    before, after: the text around the caret; after acts only where the model has a chat template.
    more: further places to draft for in the same batch. The drafts are numbered place by place: the variant
    number of variant n at place p is p · variants + n.
    seed: of draft 0, 0 … 2**63 - 1; draft n uses seed + n.
    pins: (position in the first canvas, token id) that hold from the first frame.
    length_tokens: an end token is pinned there; min_tokens: no end token comes before.
    start: a text that the first canvas begins from instead of noise; strength: the share of its positions
    that are renoised first, 0 … 1.
    t_min, t_max: temperatures; entropy_bound: nats; context_tokens: the prompt's budget.
    """

    before: str
    after: str = ""
    instruction: str = ""
    canvases: int = 1
    variants: int = 1
    max_steps: int | None = None
    seed: int = 0
    early_stop: bool = True
    t_min: float | None = None
    t_max: float | None = None
    entropy_bound: float | None = None
    context_tokens: int | None = None
    pins: tuple[tuple[int, int], ...] = ()
    more: tuple[DraftPlace, ...] = ()
    length_tokens: int | None = None
    min_tokens: int = 0
    start: str = ""
    strength: float = 1.0


class CancelRequest(Message, frozen=True, kw_only=True, tag="cancel"):
    """Give up the load or draft of this request_id."""


class UnloadRequest(Message, frozen=True, kw_only=True, tag="unload"):
    """Free the model's memory; answered by nothing."""


Request = LoadRequest | PrepareRequest | DraftRequest | CancelRequest | UnloadRequest
