"""Requests, app → engine."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.protocol.message import Message


class LoadRequest(Message, frozen=True, kw_only=True, tag="load"):
    """Load a model."""

    model: str
    """A catalogue name or a folder."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda:0`, `mps`, `xpu:0`, a GPU's UUID, or all cards' as one with a + between."""
    precision: str = "auto"
    """`auto`, or one of engine.checkpoints.precision.Precision."""
    context_tokens: int | None = None
    """The budget of prompts to come, which `auto` leaves room for."""
    variants: int = 1
    """Of drafts to come, likewise."""
    kept_free_bytes: int = 0
    """Of each card, beyond the usual: see Device."""


Extent = Literal["sentence", "paragraph", "paragraphs"]
"""How much text a draft is to be."""


class Pin(msgspec.Struct, frozen=True, array_like=True):
    """A token that holds its position from the first frame."""

    position: int
    """In the first canvas, from 0."""
    token_id: int


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Part of a text, in characters (code points)."""

    start: int
    end: int
    """Behind its last one."""


class DraftPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a text where a draft should come, with the draft's constraints."""

    before: str
    """The text before the caret."""
    after: str = ""
    """The text after it; as instruction, it acts only on a chat model."""
    instruction: str = ""
    pins: tuple[Pin, ...] = ()
    start_text: str = ""
    """A passage of the text, or a draft, that the draft comes in the place of."""
    held: tuple[Span, ...] = ()
    """Parts of start_text that stay to the letter: in their order, at the same share of the way."""
    renoise_share: float = 1.0
    """Of start_text's words that are not held: how many are drafted anew, the least likely first, 0 … 1."""
    changes: bool = False
    """Where it joins_after: what is not held may not come back as it was, and may go in a shorter draft."""
    joins_after: bool = False
    """`after` is pinned behind the draft, which has exactly its length: it leads up to it."""
    length_shares: tuple[float, ...] = ()
    """Lengths to try where it joins_after: variant v has the share v mod their number of start_text's tokens,
    or without such a text of length_tokens. Its drafts are ranked."""
    extent: Extent = "paragraph"
    """What a chat model is asked to write."""
    min_tokens: int = 0
    """No end token comes before."""
    length_tokens: int | None = None
    """An end token is pinned there."""


class SamplingOverrides(msgspec.Struct, frozen=True, kw_only=True):
    """The sampler's settings. None: the model's own."""

    max_steps: int | None = None
    steps_share: float = 1.0
    """Of max_steps: how many are allowed, 0 … 1."""
    t_min: float | None = None
    """The temperatures of the last step and, t_max, of the first."""
    t_max: float | None = None
    entropy_bound: float | None = None
    """In nats."""
    early_stop: bool = True


class PrepareRequest(Message, frozen=True, kw_only=True, tag="prepare"):
    """Read the prompt of a draft to come, while nothing else is asked for. Answered by nothing.

    Any request that comes later ends it; what was read by then is kept.
    """

    place: DraftPlace
    context_tokens: int | None = None


class PromptRequest(Message, frozen=True, kw_only=True, tag="prompt"):
    """Tell the prompt of a draft to come, without reading it. Answered by prefilled, or by failed."""

    place: DraftPlace
    context_tokens: int | None = None


class DraftRequest(Message, frozen=True, kw_only=True, tag="draft"):
    """Draft for some places in one batch."""

    places: tuple[DraftPlace, ...]
    variants: int = 1
    """Drafts for each place."""
    canvases: int = 1
    """The most that a draft may have."""
    seed: int = 0
    """0 … 2**63 - 1, of draft 0; variant v of place p is draft p · variants + v.

    Draft n draws its random numbers from seed + n, so its frame 0 is that of seed + n alone, in every
    precision and batch. On a processor the same request gives the same text again in the same precision with
    as many threads. In another batch sums round differently: in fp32 the texts measured were the same, in
    bf16 they may differ.
    """
    sampling: SamplingOverrides = SamplingOverrides()
    context_tokens: int | None = None
    """The budget of each prompt. None: the model's own."""


class LinkRequest(Message, frozen=True, kw_only=True, tag="link"):
    """Measure how fast main memory is copied to a card, within two seconds. Answered by link-measured, by
    cancelled or by failed. Any request that comes later ends it.
    """

    device: str
    """Its id or UUID."""


class CancelRequest(Message, frozen=True, kw_only=True, tag="cancel"):
    """Give up the load or draft of this request_id."""


class UnloadRequest(Message, frozen=True, kw_only=True, tag="unload"):
    """Free the model's memory; answered by nothing."""


Request = (
    LoadRequest | PrepareRequest | PromptRequest | DraftRequest | LinkRequest | CancelRequest | UnloadRequest
)
