"""Events, engine → app."""

from __future__ import annotations

import msgspec

from engine.protocol.capabilities import OF_OLD, EngineCapabilities
from engine.protocol.errors import Fault
from engine.protocol.message import Message
from engine.protocol.requests import Span


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model can run. Bytes are 0 where the system does not tell; uuid is empty save for GPUs; fp8:
    the kernels for FP8 experts are here and run there; bf16: it has arithmetic for that type;
    main_free_bytes: of main memory, for what a card can have copied from there while it computes;
    pcie_generation, pcie_lanes: the most that card and slot have in common, 0 where that is not told;
    link_bytes_per_s: how fast main memory is copied there, 0 until that was measured; kept_free_bytes: what
    a model leaves free there beyond the usual, as far as it can lie in main memory.
    """

    id: str
    name: str
    total_bytes: int
    free_bytes: int
    uuid: str = ""
    fp8: bool = False
    bf16: bool = True
    main_free_bytes: int = 0
    pcie_generation: int = 0
    pcie_lanes: int = 0
    link_bytes_per_s: int = 0
    kept_free_bytes: int = 0


class Loading(Message, frozen=True, kw_only=True, tag="loading"):
    """stage: plain words for the writer; fraction: 0 … 1; devices: all there are, once they are known, and
    with them idle_card: why a card that is here is none of them, and what to do.
    """

    stage: str
    fraction: float
    devices: tuple[Device, ...] = ()
    idle_card: str = ""


class Ready(Message, frozen=True, kw_only=True, tag="ready"):
    """The model is loaded: what it is, where it runs, what the engine can do with it, and its own sampler
    defaults.
    """

    model: str
    label: str
    device: Device
    precision: str
    memory_bytes: int
    """What its weights take there, counted from the tensors."""
    streamed_bytes: int = 0
    """Of these, what lies in main memory and is copied to the card in each step."""
    canvas_tokens: int
    context_tokens: int
    """The longest prompt."""
    max_steps: int
    t_min: float
    t_max: float
    entropy_bound: float
    capabilities: EngineCapabilities = OF_OLD
    unsaved_bytes: int = 0
    """Of the packed copy that could not be kept: the next load packs again."""

    @property
    def on_device_bytes(self) -> int:
        """What it takes of the device's own memory."""
        return self.memory_bytes - self.streamed_bytes


class Prefilling(Message, frozen=True, kw_only=True, tag="prefilling"):
    """A place's prompt is being read, which takes a while: read_tokens of prompt_tokens so far."""

    place: int = 0
    prompt_tokens: int
    read_tokens: int


class Prefilled(Message, frozen=True, kw_only=True, tag="prefilled"):
    """A place's prompt was read, or told. prompt: exactly what the model was given; cut_chars: left out of
    `before`; after_chars: of `after`, in it; budget_tokens: the most it may have; reused_tokens: read for an
    earlier request.
    """

    place: int = 0
    prompt_tokens: int
    reused_tokens: int
    prefill_s: float
    prompt: str
    cut_chars: int
    after_chars: int = 0
    budget_tokens: int = 0


class Token(msgspec.Struct, frozen=True, array_like=True):
    """One position of a canvas: display text, predictive entropy (nats), accepted, pinned."""

    text: str
    entropy: float
    accepted: bool
    pinned: bool


class Frame(Message, frozen=True, kw_only=True, tag="frame"):
    """What one denoising step shows; step 0 is the random canvas. elapsed_s: since the canvas began."""

    place: int = 0
    variant: int
    canvas: int
    step: int
    max_steps: int
    elapsed_s: float
    tokens: tuple[Token, ...]


class Denoising(Message, frozen=True, kw_only=True, tag="denoising"):
    """A step takes a while: this share of it is done, 0 … 1. step: the one of which no frame came yet."""

    step: int
    share: float


class Committed(Message, frozen=True, kw_only=True, tag="committed"):
    """A canvas is finished: its text, trimmed at the end token."""

    place: int = 0
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
    """One variant of a place is done; text is that of its committed canvases."""

    place: int = 0
    variant: int
    text: str
    stats: Stats
    rank: int = 0
    """Among the place's variants, 0 for the best, where the draft joins the text after it: by the likelihood
    of the draft and of what follows, copies of the passage and broken texts last."""
    corrected: tuple[Span, ...] = ()
    """Parts of the text that had been accepted as something else, and were corrected by a later step."""


class Cancelled(Message, frozen=True, kw_only=True, tag="cancelled"):
    """The request was given up because the app asked for it."""


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """A fault ended the request. The fields are those of Fault."""

    kind: str
    message: str
    remedy: str = ""
    details: str = ""

    @classmethod
    def of(cls, request_id: str, fault: Fault) -> Failed:
        return cls(request_id=request_id, **msgspec.structs.asdict(fault))

    @property
    def fault(self) -> Fault:
        return Fault(self.kind, self.message, self.remedy, self.details)


class LinkMeasured(Message, frozen=True, kw_only=True, tag="link-measured"):
    """How fast main memory is copied to a card."""

    bytes_per_s: int


LoadEvent = Loading | Ready | Cancelled | Failed
DraftEvent = (
    LoadEvent | Prefilling | Prefilled | Denoising | Frame | Committed | Finished
)  # an engine started afresh loads its model first
LinkEvent = LinkMeasured | Cancelled | Failed
Event = DraftEvent | LinkEvent
