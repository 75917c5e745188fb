"""Estimate the memory that a model needs: weights, KV cache, one denoising step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from engine.checkpoints.model_shape import MAX_CANVASES, LayerShape, ModelShape
from engine.checkpoints.precision import BYTES_PER_WEIGHT, LOADABLE_PRECISIONS, Precision, suitable_precisions
from engine.hardware.device_groups import card_ids
from engine.protocol.events import Device

CONTEXTS = (2048, 8192, 32768)
DEFAULT_CONTEXT_TOKENS = 8192
ROLL_BACK_TOKENS = 1024  # what the engine keeps of a sliding layer beyond its window, for going back
LOGITS_CHUNK_BYTES = 2**26  # some rows over the vocabulary, as many as keep a GPU busy
RUNTIME_BYTES = 500_000_000  # what a GPU's driver and libraries take before the first tensor, about


def weights_bytes(shape: ModelShape, precision: Precision) -> int:
    parts = (shape.ends, *(layer.weights for layer in shape.layers))
    return sum(part.bytes_in(precision) for part in parts)


def kv_bytes(
    shape: ModelShape,
    precision: Precision,
    context_tokens: int,
    variants: int = 1,
    canvases: int = MAX_CANVASES,
) -> int:
    """While the last canvas is denoised: the prompt, kept for the next draft, and for each variant what it
    committed and a copy of what the decoder sees, with room for the canvas.
    """
    numbers = sum(_kv_numbers(shape, layer, context_tokens, variants, canvases) for layer in shape.layers)
    return numbers * BYTES_PER_WEIGHT[precision].other


def _kv_numbers(
    shape: ModelShape, layer: LayerShape, context_tokens: int, variants: int, canvases: int
) -> int:
    sliding_limit = shape.window - 1 + ROLL_BACK_TOKENS
    kept = _held_tokens(layer, context_tokens, sliding_limit)
    committed = _held_tokens(layer, _before_last_canvas(shape, context_tokens, canvases), sliding_limit)
    seen = _seen_tokens(shape, layer, context_tokens, canvases)
    return layer.kv * (kept + variants * (seen + (committed if canvases > 1 else 0)))


def _seen_tokens(shape: ModelShape, layer: LayerShape, context_tokens: int, canvases: int) -> int:
    """By the last canvas, itself among them."""
    before = _before_last_canvas(shape, context_tokens, canvases)
    return _held_tokens(layer, before, shape.window - 1) + shape.canvas_tokens


def _before_last_canvas(shape: ModelShape, context_tokens: int, canvases: int) -> int:
    return context_tokens + (canvases - 1) * shape.canvas_tokens


def _held_tokens(layer: LayerShape, tokens: int, sliding_limit: int) -> int:
    return min(tokens, sliding_limit) if layer.sliding else tokens


def step_bytes(
    shape: ModelShape,
    precision: Precision,
    context_tokens: int,
    variants: int = 1,
    canvases: int = MAX_CANVASES,
) -> int:
    """The logits in fp32, the scratch buffer that experts are unpacked into, and the largest of what comes
    and goes: the logits in the weights' type, pieces of the probabilities, or what a layer computes.
    """
    number = BYTES_PER_WEIGHT[precision].other
    logits = variants * shape.canvas_tokens * shape.vocab_size
    pieces = min(2 * LOGITS_CHUNK_BYTES, (4 if number == 4 else 4 + number) * logits)
    computed = number * variants * _computed_numbers(shape, context_tokens, canvases)
    return 4 * logits + _scratch_bytes(shape, precision) + max(number * logits, pieces, computed)


def _computed_numbers(shape: ModelShape, context_tokens: int, canvases: int) -> int:
    """The most of: a canvas's activations; the copies of keys and values for one layer's attention."""
    copied = (layer.copied * _seen_tokens(shape, layer, context_tokens, canvases) for layer in shape.layers)
    return max(shape.canvas_tokens * shape.activations, *copied)


def _scratch_bytes(shape: ModelShape, precision: Precision) -> int:
    packed = BYTES_PER_WEIGHT[precision].expert < 2
    return 2 * max(layer.weights.experts for layer in shape.layers) if packed else 0


def _layer_step_bytes(shape: ModelShape, precision: Precision, context_tokens: int) -> int:
    """What a step needs on a card that has layers and nothing else."""
    computed = BYTES_PER_WEIGHT[precision].other * _computed_numbers(shape, context_tokens, MAX_CANVASES)
    return _scratch_bytes(shape, precision) + computed


def needed_bytes(
    shape: ModelShape,
    precision: Precision,
    context_tokens: int,
    variants: int = 1,
    canvases: int = MAX_CANVASES,
    cards: int = 1,
) -> int:
    """Each card beyond the first has scratch of its own, and room that no whole layer fills."""
    one_card = (
        weights_bytes(shape, precision)
        + kv_bytes(shape, precision, context_tokens, variants, canvases)
        + step_bytes(shape, precision, context_tokens, variants, canvases)
    )
    layer = max(_layers_bytes(shape, precision, context_tokens))
    return one_card + (cards - 1) * (layer + _layer_step_bytes(shape, precision, context_tokens))


def planned_context(shape: ModelShape, wanted: int | None) -> int:
    """The smallest context size that there are plans for and that holds the wanted one, or the usual one."""
    readable = [context for context in CONTEXTS if context <= shape.limit_tokens] or CONTEXTS[:1]
    wanted = DEFAULT_CONTEXT_TOKENS if wanted is None else wanted
    return next((context for context in readable if context >= wanted), readable[-1])


def load_bytes(
    shape: ModelShape, device: Device, context_tokens: int | None, precisions: Sequence[Precision] = ()
) -> dict[Precision, int]:
    """What a load on the device has to have room for, the largest first. precisions: else all suitable."""
    context, cards = min(planned_context(shape, context_tokens), shape.limit_tokens), len(card_ids(device))
    return {
        precision: needed_bytes(shape, precision, context, cards=cards)
        for precision in precisions or suitable_precisions(LOADABLE_PRECISIONS, device)
    }


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


def has_room(
    shape: ModelShape,
    asked: str,
    device: Device,
    context_tokens: int | None,
    precisions: Sequence[Precision] = (),
) -> bool:
    """asked: a precision; for any other word it is enough if one of those that load_bytes() takes fits."""
    named = [precision for precision in get_args(Precision) if precision == asked]
    return min(load_bytes(shape, device, context_tokens, named or precisions).values()) <= usable_bytes(
        device
    )


def share_layers(
    shape: ModelShape, precision: Precision, context_tokens: int, usable: Sequence[int]
) -> tuple[int, ...]:
    """How many layers each card has, in order, the first one having all else too, with as much to spare on
    each. usable: bytes of each. What does not fit is left to the last.
    """
    layers = _layers_bytes(shape, precision, context_tokens)
    step = _layer_step_bytes(shape, precision, context_tokens)
    ends = shape.ends.bytes_in(precision) + step_bytes(shape, precision, context_tokens) - step
    spare = sum(usable) - needed_bytes(shape, precision, context_tokens, cards=len(usable))
    counts, begin = [], 0
    for number, free in enumerate(usable[:-1]):
        room = free - step - (0 if number else ends) - max(0, spare) // len(usable)
        end = begin
        while end < len(layers) and sum(layers[begin : end + 1]) <= room:
            end += 1
        counts.append(end - begin)
        begin = end
    return (*counts, len(layers) - begin)


def _layers_bytes(shape: ModelShape, precision: Precision, context_tokens: int) -> list[int]:
    """The weights of each layer and what it keeps of a draft of the most canvases."""
    number = BYTES_PER_WEIGHT[precision].other
    kv = (number * _kv_numbers(shape, layer, context_tokens, 1, MAX_CANVASES) for layer in shape.layers)
    return [layer.weights.bytes_in(precision) + kept for layer, kept in zip(shape.layers, kv, strict=True)]


def usable_bytes(device: Device) -> int:
    """What a model can take of a device; 0 where the system does not tell."""
    free = device.free_bytes or device.total_bytes
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
