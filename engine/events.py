"""The requests and events that cross every boundary: frozen values, one JSON object per line."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What crosses a thread or a process. `request_id` tells whose it is."""

    request_id: str


# ------------------------------------------------------------------ requests, app → engine


class LoadRequest(Message, frozen=True, kw_only=True, tag="load"):
    """Load a model. model: a catalogue name or a folder; device: `auto`, `cpu`, `cuda:0`, `mps`, `xpu:0`, a
    GPU's UUID, or all cards' as one with a + between; precision: `auto`, or one of engine.plans.Precision;
    context_tokens: the budget of prompts to come, which `auto` leaves room for.
    """

    model: str
    device: str = "auto"
    precision: str = "auto"
    context_tokens: int | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
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
    more: tuple[Place, ...] = ()
    length_tokens: int | None = None
    min_tokens: int = 0
    start: str = ""
    strength: float = 1.0


class CancelRequest(Message, frozen=True, kw_only=True, tag="cancel"):
    """Give up the load or draft of this request_id."""


class UnloadRequest(Message, frozen=True, kw_only=True, tag="unload"):
    """Free the model's memory; answered by nothing."""


Request = LoadRequest | PrepareRequest | DraftRequest | CancelRequest | UnloadRequest


# ------------------------------------------------------------------ events, engine → app


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model can run. Bytes are 0 where the system does not tell; uuid is empty save for GPUs; fp8:
    the kernels for FP8 experts are here and run there; bf16: it has arithmetic for that type.
    """

    id: str
    name: str
    total_bytes: int
    free_bytes: int
    uuid: str = ""
    fp8: bool = False
    bf16: bool = True


class Loading(Message, frozen=True, kw_only=True, tag="loading"):
    """stage: plain words for the writer; fraction: 0 … 1; devices: all there are, once they are known, and
    with them idle_card: why a card that is here is none of them, and what to do.
    """

    stage: str
    fraction: float
    devices: tuple[Device, ...] = ()
    idle_card: str = ""


class Ready(Message, frozen=True, kw_only=True, tag="ready"):
    """The model is loaded: what it is, where it runs, and its own sampler defaults.

    memory_bytes: what its weights take there, counted from the tensors. context_tokens: the longest prompt.
    unsaved_bytes: of the packed copy that could not be kept: the next load packs again.
    """

    model: str
    label: str
    device: Device
    precision: str
    memory_bytes: int
    canvas_tokens: int
    context_tokens: int
    max_steps: int
    t_min: float
    t_max: float
    entropy_bound: float
    continues_only: bool
    unsaved_bytes: int = 0


class Prefilled(Message, frozen=True, kw_only=True, tag="prefilled"):
    """A prompt was read. prompt: exactly what the model was given; cut_chars: left out of `before`;
    reused_tokens: read for an earlier request; place: 0, or which of `more` (from 1).
    """

    place: int = 0
    prompt_tokens: int
    reused_tokens: int
    prefill_s: float
    prompt: str
    cut_chars: int


class Token(msgspec.Struct, frozen=True, array_like=True):
    """One position of a canvas: display text, predictive entropy (nats), accepted, pinned."""

    text: str
    entropy: float
    accepted: bool
    pinned: bool


class Frame(Message, frozen=True, kw_only=True, tag="frame"):
    """What one denoising step shows; step 0 is the random canvas. elapsed_s: since the canvas began."""

    variant: int
    canvas: int
    step: int
    max_steps: int
    elapsed_s: float
    tokens: tuple[Token, ...]


class Committed(Message, frozen=True, kw_only=True, tag="committed"):
    """A canvas is finished: its text, trimmed at the end token."""

    variant: int
    canvas: int
    text: str


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What a draft cost. steps: denoising steps of all its canvases; tokens: committed ones;
    denoise_s: of its batch; peak_bytes: the most memory held on the device, 0 where that is not told.
    """

    steps: int
    tokens: int
    prefill_s: float
    denoise_s: float
    tokens_per_s: float
    tokens_per_step: float
    device: str
    precision: str
    stopped_early: bool
    peak_bytes: int = 0


class Finished(Message, frozen=True, kw_only=True, tag="finished"):
    """One variant is done; text is that of its committed canvases."""

    variant: int
    text: str
    stats: Stats


class Cancelled(Message, frozen=True, kw_only=True, tag="cancelled"):
    """The request was given up because the app asked for it."""


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """kind: see engine.errors; message and remedy: for the writer; details: for the log."""

    kind: str
    message: str
    remedy: str = ""
    details: str = ""


LoadEvent = Loading | Ready | Cancelled | Failed
DraftEvent = (
    LoadEvent | Prefilled | Frame | Committed | Finished
)  # an engine started afresh loads its model first
Event = DraftEvent

_encoder = msgspec.json.Encoder()
_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(message: Request | Event) -> bytes:
    """One line, newline included."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises ValueError for anything that is not a request."""
    return _decode(_request_decoder, line)


def decode_event(line: bytes) -> Event:
    """Raises ValueError for anything that is not an event."""
    return _decode(_event_decoder, line)


def _decode(decoder: msgspec.json.Decoder[T], line: bytes) -> T:
    try:
        return decoder.decode(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
