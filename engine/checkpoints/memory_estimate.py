"""Estimate the memory that a model needs: weights, KV cache, one denoising step."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import msgspec

from engine.checkpoints.model_shape import MAX_CANVASES, LayerShape, ModelShape
from engine.checkpoints.precision import (
    BYTES_PER_WEIGHT,
    LOADABLE_PRECISIONS,
    ON_CARDS,
    ON_PROCESSORS,
    STREAMED_PRECISIONS,
    Precision,
    suitable_precisions,
)
from engine.hardware.device_groups import card_ids
from engine.protocol.events import Device

CONTEXTS = (2048, 8192, 32768)
DEFAULT_CONTEXT_TOKENS = 8192
ROLL_BACK_TOKENS = 1024  # what the engine keeps of a sliding layer beyond its window, for going back
LOGITS_CHUNK_BYTES = 2**26  # some rows over the vocabulary, as many as keep a GPU busy
WIDENED_BYTES = 2**25  # of weights in bf16, as much as a processor widens at a time
MAX_BATCH = 8  # drafts that an engine takes at once where there is room for them
STREAM_SLOTS = 4  # layers of experts for which there is room on a card that they are copied to
STREAM_PARTS = 4  # in which such a card unpacks a layer's experts
SPARE_BYTES = 1_500_000_000 if sys.platform == "win32" else 800_000_000  # of such a card, for other programs
RUNTIME_BYTES = 500_000_000  # what a GPU's driver and libraries take before the first tensor, about
PROCESS_BYTES = 1_000_000_000  # what the engine's process takes of the main memory, about


@dataclass(frozen=True)
class MemoryEstimate:
    """What a model needs at its most demanding moment, when the last canvas of some drafts is denoised."""

    shape: ModelShape
    precision: Precision
    context_tokens: int = DEFAULT_CONTEXT_TOKENS
    """Of the prompt."""
    variants: int = 1
    canvases: int = MAX_CANVASES
    streamed: int = 0
    """Layers whose experts lie in main memory, and come to a card when they are needed."""
    device: Device | None = None
    """Where it runs. None: on a card, or for a precision that is for processors alone on one of them."""

    def needed_bytes(self, cards: int = 1) -> int:
        """Each card beyond the first has scratch of its own, and room that no whole layer fills."""
        beyond = max(self.layers_bytes) + self.layer_step_bytes
        here = (
            self.weights_bytes - self.streamed_bytes + min(STREAM_SLOTS, self.streamed) * self._experts_bytes
        )
        return here + self.kv_bytes + self.step_bytes + (cards - 1) * beyond

    @property
    def streamed_bytes(self) -> int:
        """What lies in main memory, and is copied to the card in each step."""
        return self.streamed * self._experts_bytes

    @property
    def streamed_layers(self) -> frozenset[int]:
        """Evenly between those that stay on the card, so that each copy has as much time."""
        count = len(self.shape.layers)
        return frozenset(number * count // self.streamed for number in range(self.streamed))

    @property
    def _experts_bytes(self) -> int:
        """Of one layer: all have the same."""
        return replace(self.shape.layers[0].weights, linear=0, rest=0, linear_rows=0).bytes_in(self.precision)

    @property
    def weights_bytes(self) -> int:
        parts = (self.shape.ends, *(layer.weights for layer in self.shape.layers))
        return sum(part.bytes_in(self.precision) for part in parts)

    @property
    def kv_bytes(self) -> int:
        """The prompt, kept for the next draft, and for each variant what it committed and a copy of what the
        decoder sees, with room for the canvas.
        """
        return sum(map(self._layer_kv_bytes, self.shape.layers))

    @property
    def step_bytes(self) -> int:
        """The logits in fp32, the scratch buffer that experts are unpacked into, and the largest of what
        comes and goes: the logits in the weights' type, pieces of the probabilities, or a layer's work. To
        read a block of the prompt takes no more.
        """
        logits = self.variants * self.shape.canvas_tokens * self.shape.vocab_size
        pieces = min(2 * LOGITS_CHUNK_BYTES, (4 if self._number == 4 else 4 + self._number) * logits)
        computed = self.variants * self._computed_bytes()
        most = max(self._number * logits, pieces, computed)
        return 4 * logits + self._scratch_bytes() + self._widened_bytes() + most

    @property
    def layer_step_bytes(self) -> int:
        """What a step needs on a card that has layers and nothing else."""
        return self._scratch_bytes() + self.variants * self._computed_bytes()

    def share_layers(self, usable: Sequence[int]) -> tuple[int, ...]:
        """How many layers each card has, in order, the first one having all else too, with as much to spare
        on each. usable: bytes of each. What does not fit is left to the last.
        """
        layers, step = self.layers_bytes, self.layer_step_bytes
        ends = self.shape.ends.bytes_in(self.precision) + self.step_bytes - step
        spare = sum(usable) - self.needed_bytes(len(usable))
        counts, begin = [], 0
        for number, free in enumerate(usable[:-1]):
            room = free - step - (0 if number else ends) - max(0, spare) // len(usable)
            end = begin
            while end < len(layers) and sum(layers[begin : end + 1]) <= room:
                end += 1
            counts.append(end - begin)
            begin = end
        return (*counts, len(layers) - begin)

    @property
    def layers_bytes(self) -> list[int]:
        """The weights of each layer and what it keeps."""
        layers = self.shape.layers
        return [layer.weights.bytes_in(self.precision) + self._layer_kv_bytes(layer) for layer in layers]

    def _layer_kv_bytes(self, layer: LayerShape) -> int:
        limit = self.shape.window - 1 + ROLL_BACK_TOKENS
        kept = _held_tokens(layer, self.context_tokens, limit)
        committed = _held_tokens(layer, self._before_last_canvas, limit) if self.canvases > 1 else 0
        return self._number * layer.kv * (kept + self.variants * (self._seen_tokens(layer) + committed))

    def _seen_tokens(self, layer: LayerShape) -> int:
        """By the last canvas, itself among them."""
        before = _held_tokens(layer, self._before_last_canvas, self.shape.window - 1)
        return before + self.shape.canvas_tokens

    @property
    def _before_last_canvas(self) -> int:
        return self.context_tokens + (self.canvases - 1) * self.shape.canvas_tokens

    def _computed_bytes(self) -> int:
        """The most of: a canvas's activations; the copies of keys and values for one layer's attention. A
        processor makes none, but has queries four times: projected, turned, laid out and answered.
        """
        canvas = self.shape.canvas_tokens
        copied = (
            layer.copied * (2 * canvas if self._on_processor else self._seen_tokens(layer))
            for layer in self.shape.layers
        )
        return self._number * max(canvas * self.shape.activations, *copied)

    def _scratch_bytes(self) -> int:
        """A processor unpacks no more than one expert at a time."""
        if self.precision not in ON_CARDS or self._on_processor:
            return 0
        unpacked = 2 * max(layer.weights.experts for layer in self.shape.layers)
        return unpacked // STREAM_PARTS if self.streamed else unpacked

    def _widened_bytes(self) -> int:
        """Of the embedding: the largest part that is widened at a time."""
        widened = BYTES_PER_WEIGHT[self.precision].other < self._number
        return min(WIDENED_BYTES, 4 * self.shape.ends.rest) if widened else 0

    @property
    def _number(self) -> int:
        """The bytes of one that is computed: in fp32 where a processor has no arithmetic for bf16."""
        wide = self._on_processor and self.device is not None and not self.device.bf16
        return 4 if wide else BYTES_PER_WEIGHT[self.precision].computed

    @property
    def _on_processor(self) -> bool:
        return self.precision in ON_PROCESSORS or (self.device is not None and self.device.id == "cpu")


def _held_tokens(layer: LayerShape, tokens: int, sliding_limit: int) -> int:
    return min(tokens, sliding_limit) if layer.sliding else tokens


def planned_context(shape: ModelShape, wanted: int | None) -> int:
    """The smallest context size that there are plans for and that holds the wanted one, or the usual one."""
    readable = [context for context in CONTEXTS if context <= shape.limit_tokens] or CONTEXTS[:1]
    wanted = DEFAULT_CONTEXT_TOKENS if wanted is None else wanted
    return next((context for context in readable if context >= wanted), readable[-1])


def load_bytes(
    shape: ModelShape,
    device: Device,
    context_tokens: int | None,
    precisions: Sequence[Precision] = (),
    variants: int = 1,
) -> dict[Precision, int]:
    """What a load on the device has to have room for: the largest first, and at the end those that fit with
    experts in main memory alone. precisions: else all suitable.
    """
    context, cards = min(planned_context(shape, context_tokens), shape.limit_tokens), len(card_ids(device))
    whole, streamed = {}, {}
    for precision in precisions or suitable_precisions(LOADABLE_PRECISIONS, device):
        estimate = MemoryEstimate(shape, precision, context, variants, device=device)
        if partly := streaming_on(device, estimate):
            streamed[precision] = partly.needed_bytes()
        else:
            whole[precision] = estimate.needed_bytes(cards)
    return whole | streamed


def best_precision(device: Device, needed_bytes: Mapping[Precision, int]) -> Precision:
    """The first that fits, else the last: then a load may fail.

    A processor without bf16 arithmetic takes fp32 for bf16, which is five times as fast there, where half of
    what is free is enough for it.
    """
    free, bf16_bytes = usable_bytes(device), needed_bytes.get("bf16")
    if bf16_bytes and not device.bf16 and 2 * bf16_bytes <= free // 2:
        return "fp32"
    fitting = (precision for precision, needed in needed_bytes.items() if not free or needed <= free)
    return next(fitting, list(needed_bytes)[-1])


def streaming_on(device: Device, estimate: MemoryEstimate) -> MemoryEstimate | None:
    return streaming(estimate, usable_bytes(device), device.main_free_bytes, device.kept_free_bytes)


def streaming(
    estimate: MemoryEstimate, room: int, main_free_bytes: int, kept_free_bytes: int = 0
) -> MemoryEstimate | None:
    """The estimate with as few layers' experts in main memory as a card of that room has no place for. None
    if all fits, or nothing helps. kept_free_bytes: on the card beyond the usual, or as much of it as can be.
    """
    main_room = main_free_bytes - PROCESS_BYTES
    fits = room >= estimate.needed_bytes() + kept_free_bytes
    if estimate.precision not in STREAMED_PRECISIONS or not room or fits:
        return None
    fitting = None
    for count in range(1, len(estimate.shape.layers) + 1):
        streamed = replace(estimate, streamed=count)
        spare = room - streamed.needed_bytes() - SPARE_BYTES
        if spare >= 0 and streamed.streamed_bytes <= main_room:
            fitting = streamed
            if spare >= kept_free_bytes:
                break
    return fitting


def has_room(
    shape: ModelShape,
    asked: str,
    device: Device,
    context_tokens: int | None,
    precisions: Sequence[Precision] = (),
    variants: int = 1,
) -> bool:
    """Whether the device has room for all of the model. asked: a precision; for any other word it is enough
    if one of those that load_bytes() takes fits.
    """
    named = [precision for precision in get_args(Precision) if precision == asked]
    alone = msgspec.structs.replace(device, main_free_bytes=0)
    needed = load_bytes(shape, alone, context_tokens, named or precisions, variants)
    return min(needed.values()) <= usable_bytes(device)


def batch_limit(estimate: MemoryEstimate, device: Device) -> int:
    """The most drafts that can develop at once on the device: the estimate's, or more where there is room."""
    free, cards = usable_bytes(device), len(card_ids(device))
    more = range(MAX_BATCH, estimate.variants, -1)
    fitting = (
        count for count in more if not free or replace(estimate, variants=count).needed_bytes(cards) <= free
    )
    return next(fitting, estimate.variants)


def usable_bytes(device: Device) -> int:
    """What a model can take of a device; 0 where the system does not tell."""
    free = device.free_bytes or device.total_bytes
    if device.id == "cpu" and free:
        return max(1, free - PROCESS_BYTES)
    on_card = device.uuid or device.id.startswith(("cuda", "xpu"))
    return usable_on_card(free, len(card_ids(device))) if free and on_card else free


def usable_on_card(free_bytes: int, cards: int = 1) -> int:
    """What is left for a model once a GPU's driver and libraries have taken theirs."""
    return max(1, free_bytes - cards * RUNTIME_BYTES)


def row_chunks(rows: int, row_bytes: int, chunk_bytes: int) -> Iterator[slice]:
    """All rows in pieces of about chunk_bytes."""
    size = max(1, chunk_bytes // row_bytes)
    for start in range(0, rows, size):
        yield slice(start, min(rows, start + size))
