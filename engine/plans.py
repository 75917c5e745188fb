"""What a model needs in memory, from its configuration alone, and whether that fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from engine.cards import card_ids
from engine.errors import EngineError
from engine.events import Device

Precision = Literal["bf16", "fp32", "fp8", "4-bit", "4-bit-tight"]
"""fp8, 4-bit: the experts in FP8 or NF4, the rest in bf16. 4-bit-tight: of that rest, the linear layers in 8
bits."""

LOADABLE: tuple[Precision, ...] = ("bf16", "fp8", "4-bit", "4-bit-tight")
"""On graphics cards, the largest first."""
PACKED: tuple[Precision, ...] = ("fp8", "4-bit", "4-bit-tight")
"""While they are loaded; the packed copy is kept, and takes about as many bytes as the weights."""
METHOD = "mezzotint"
"""How that was done, in the copy's configuration."""

CONTEXTS = (2048, 8192, 32768)
DEFAULT_CONTEXT_TOKENS = 8192
MOST_CANVASES = 4
ROLL_BACK_TOKENS = 1024  # what the engine keeps of a sliding layer beyond its window, for going back
CHUNK_BYTES = 2**26  # some rows over the vocabulary, as many as keep a GPU busy
RUNTIME_BYTES = 500_000_000  # what a GPU's driver and libraries take before the first tensor, about

_NF4 = 1 / 2 + 1 / 64 + 4 / (64 * 256)  # 64 weights share a scale of 8 bits, 256 scales one of 32 bits
_BYTES: dict[Precision, tuple[float, float, float, int]] = {  # a weight of an expert, a linear layer, the
    "fp32": (4, 4, 4, 4),  #                                     rest; any other number
    "bf16": (2, 2, 2, 2),
    "fp8": (1, 2, 2, 2),
    "4-bit": (_NF4, 2, 2, 2),
    "4-bit-tight": (_NF4, 1, 2, 2),  # and each row of 8 bits has a scale
}


@dataclass(frozen=True)
class Weights:
    """How many there are in experts, in linear layers and in all else. linear_rows: the layers' outputs."""

    experts: int
    linear: int
    rest: int
    linear_rows: int

    def bytes_in(self, precision: Precision) -> int:
        expert, linear, rest, _ = _BYTES[precision]
        weights = round(self.experts * expert + self.linear * linear + self.rest * rest)
        row_scales = 4 * self.linear_rows if linear == 1 else 0
        scale_codes = 4 * 256 if expert == _NF4 and self.experts else 0
        return weights + row_scales + scale_codes


@dataclass(frozen=True)
class Layer:
    """kv: numbers kept for each token; copied: of these, with a copy for each head that shares them."""

    weights: Weights
    kv: int
    copied: int
    sliding: bool


@dataclass(frozen=True)
class Shape:
    """Sizes of a model without its vision tower. ends: what is outside the layers; activations: numbers that
    the busiest layer makes of one token; limit_tokens: the longest prompt that leaves room for the canvases.
    """

    layers: tuple[Layer, ...]
    ends: Weights
    window: int
    canvas_tokens: int
    vocab_size: int
    activations: int
    limit_tokens: int


@dataclass(frozen=True)
class Plan:
    """What a model needs at one precision and context size. A verdict tells; it forbids nothing."""

    precision: Precision
    context_tokens: int
    weights_bytes: int
    kv_bytes: int
    step_bytes: int
    total_bytes: int
    fits: bool
    verdict: str


# ------------------------------------------------------------------ bytes


def weights_bytes(shape: Shape, precision: Precision) -> int:
    layers = sum(layer.weights.bytes_in(precision) for layer in shape.layers)
    return layers + shape.ends.bytes_in(precision)


def kv_bytes(
    shape: Shape,
    precision: Precision,
    context_tokens: int,
    variants: int = 1,
    canvases: int = MOST_CANVASES,
) -> int:
    """While the last canvas is denoised: the prompt, kept for the next draft, and for each variant what it
    committed and a copy of what the decoder sees, with room for the canvas.
    """
    numbers = sum(_kv_numbers(shape, layer, context_tokens, variants, canvases) for layer in shape.layers)
    return numbers * _BYTES[precision][3]


def _kv_numbers(shape: Shape, layer: Layer, context_tokens: int, variants: int, canvases: int) -> int:
    grown = context_tokens + (canvases - 1) * shape.canvas_tokens
    kept = shape.window - 1 + ROLL_BACK_TOKENS
    seen = _seen_tokens(shape, layer, context_tokens, canvases)
    committed = _last(layer, grown, kept) if canvases > 1 else 0
    return layer.kv * (_last(layer, context_tokens, kept) + variants * (committed + seen))


def _last(layer: Layer, tokens: int, most: int) -> int:
    return min(tokens, most) if layer.sliding else tokens


def _seen_tokens(shape: Shape, layer: Layer, context_tokens: int, canvases: int) -> int:
    """By the last canvas, itself among them."""
    grown = context_tokens + (canvases - 1) * shape.canvas_tokens
    return _last(layer, grown, shape.window - 1) + shape.canvas_tokens


def step_bytes(
    shape: Shape,
    precision: Precision,
    context_tokens: int,
    variants: int = 1,
    canvases: int = MOST_CANVASES,
) -> int:
    """The logits in fp32, the scratch buffer that experts are unpacked into, and the largest of what comes
    and goes: the logits in the weights' type, pieces of the probabilities, or what a layer makes.
    """
    number = _BYTES[precision][3]
    logits = variants * shape.canvas_tokens * shape.vocab_size
    pieces = min(2 * CHUNK_BYTES, (4 if number == 4 else 4 + number) * logits)
    passing = (number * logits, pieces, number * variants * _made_numbers(shape, context_tokens, canvases))
    return 4 * logits + _scratch_bytes(shape, precision) + max(passing)


def _made_numbers(shape: Shape, context_tokens: int, canvases: int) -> int:
    """The most of: a canvas's activations; the copies of keys and values for one layer's attention."""
    copied = (layer.copied * _seen_tokens(shape, layer, context_tokens, canvases) for layer in shape.layers)
    return max(shape.canvas_tokens * shape.activations, *copied)


def _scratch_bytes(shape: Shape, precision: Precision) -> int:
    return 2 * max(layer.weights.experts for layer in shape.layers) if _BYTES[precision][0] < 2 else 0


def _layer_step_bytes(shape: Shape, precision: Precision, context_tokens: int) -> int:
    """What a step needs on a card that has layers and nothing else."""
    made = _BYTES[precision][3] * _made_numbers(shape, context_tokens, MOST_CANVASES)
    return _scratch_bytes(shape, precision) + made


def needed_bytes(
    shape: Shape,
    precision: Precision,
    context_tokens: int,
    variants: int = 1,
    canvases: int = MOST_CANVASES,
    cards: int = 1,
) -> int:
    """Each card beyond the first has scratch of its own, and room that no whole layer fills."""
    alone = (
        weights_bytes(shape, precision)
        + kv_bytes(shape, precision, context_tokens, variants, canvases)
        + step_bytes(shape, precision, context_tokens, variants, canvases)
    )
    if cards == 1:
        return alone
    layer = max(_layers_bytes(shape, precision, context_tokens))
    return alone + (cards - 1) * (layer + _layer_step_bytes(shape, precision, context_tokens))


def planned_context(shape: Shape, wanted: int | None) -> int:
    """The smallest context size that there are plans for and that holds the wanted one, or the usual one."""
    readable = [context for context in CONTEXTS if context <= shape.limit_tokens] or CONTEXTS[:1]
    wanted = DEFAULT_CONTEXT_TOKENS if wanted is None else wanted
    return next((context for context in readable if context >= wanted), readable[-1])


def suitable(precisions: Sequence[Precision], device: Device | None) -> list[Precision]:
    """Without FP8 where its kernels are not, and without fp32 save on a processor. None: not known yet."""
    lacking = {"fp8": not (device and device.fp8), "fp32": not (device and device.id == "cpu")}
    return [precision for precision in precisions if not lacking.get(precision)]


def load_bytes(
    shape: Shape, device: Device, context_tokens: int | None, precisions: Sequence[Precision] = ()
) -> dict[Precision, int]:
    """What a load on the device has to have room for, the largest first. precisions: else all suitable."""
    context, cards = min(planned_context(shape, context_tokens), shape.limit_tokens), len(card_ids(device))
    return {
        precision: needed_bytes(shape, precision, context, cards=cards)
        for precision in precisions or suitable(LOADABLE, device)
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
    shape: Shape,
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
    shape: Shape, precision: Precision, context_tokens: int, usable: Sequence[int]
) -> tuple[int, ...]:
    """How many layers each card has, in order, the first one having all else too, with as much to spare on
    each. usable: bytes of each. What does not fit is left to the last.
    """
    lasting = _layers_bytes(shape, precision, context_tokens)
    passing = _layer_step_bytes(shape, precision, context_tokens)
    ends = shape.ends.bytes_in(precision) + step_bytes(shape, precision, context_tokens) - passing
    spare = sum(usable) - needed_bytes(shape, precision, context_tokens, cards=len(usable))
    counts, begin = [], 0
    for number, free in enumerate(usable[:-1]):
        room = free - passing - (0 if number else ends) - max(0, spare) // len(usable)
        end = begin
        while end < len(lasting) and sum(lasting[begin : end + 1]) <= room:
            end += 1
        counts.append(end - begin)
        begin = end
    return (*counts, len(lasting) - begin)


def _layers_bytes(shape: Shape, precision: Precision, context_tokens: int) -> list[int]:
    """The weights of each layer and what it keeps of a draft of the most canvases."""
    number = _BYTES[precision][3]
    return [
        layer.weights.bytes_in(precision)
        + number * _kv_numbers(shape, layer, context_tokens, 1, MOST_CANVASES)
        for layer in shape.layers
    ]


def usable_bytes(device: Device) -> int:
    """What a model can take of a device; 0 where the system does not tell."""
    free = device.free_bytes or device.total_bytes
    on_card = device.uuid or device.id.startswith(("cuda", "xpu"))
    return usable_on_card(free, len(card_ids(device))) if free and on_card else free


def usable_on_card(free_bytes: int, cards: int = 1) -> int:
    """What is left for a model once a GPU's driver and libraries have taken theirs."""
    return max(1, free_bytes - cards * RUNTIME_BYTES)


def memory(count: int) -> str:
    """As card makers count: 2**30 bytes are a GB."""
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"


def gigabytes(count: int) -> str:
    """As disks and downloads are counted."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


# ------------------------------------------------------------------ plans


def table(
    shape: Shape,
    precisions: Sequence[Precision],
    free_bytes: int,
    total_bytes: int = 0,
    place: str = "this card",
    cards: int = 1,
    *,
    instead: bool = False,
) -> list[Plan]:
    """A plan for each precision and context size. free_bytes, total_bytes: the place's; 0: not known; what
    a model in use holds counts as free if the planned one is to run instead.
    """
    needs = {
        (precision, context): needed_bytes(shape, precision, min(context, shape.limit_tokens), cards=cards)
        for precision in precisions
        for context in CONTEXTS
    }

    have = "has" if cards == 1 else "have"
    where = f" on {place}" * (cards > 1) + " in place of the model in use" * instead
    even = " even without the model in use" * instead

    def verdict(precision: Precision, context: int) -> str:
        need = needs[precision, context]
        if not free_bytes:
            return f"needs {memory(need)}; how much {place} {have} free is not known"
        if need <= free_bytes:
            return f"fits with {memory(free_bytes - need)} to spare{where}"
        smaller = [other for other in CONTEXTS if needs[precision, other] <= free_bytes]
        packed = [other for other in precisions if needs[other, context] <= free_bytes]
        least = [other for other in precisions if needs[other, CONTEXTS[0]] <= free_bytes]
        choices = ["a smaller context"] * bool(smaller) + packed[:1]
        choices = choices or [f"{other} and a smaller context" for other in least[:1]]
        ways = ["close other programs"] * (need <= total_bytes)
        ways += ["choose " + " or ".join(choices)] * bool(choices)
        lack = f"needs {memory(max(2**20, need - free_bytes))} more than {place} {have} free{even}"
        return f"{lack}: {', or '.join(ways) or 'choose a smaller model'}"

    limit = shape.limit_tokens
    return [
        Plan(
            precision=precision,
            context_tokens=context,
            weights_bytes=weights_bytes(shape, precision),
            kv_bytes=kv_bytes(shape, precision, min(context, limit)),
            step_bytes=step_bytes(shape, precision, min(context, limit)),
            total_bytes=need,
            fits=not free_bytes or need <= free_bytes,
            verdict=verdict(precision, context)
            + (f" (this model reads at most {limit:,} tokens)" if context > limit else ""),
        )
        for (precision, context), need in needs.items()
    ]


# ------------------------------------------------------------------ the configuration


# A stranger's configuration must neither lie nor take hours to count.
_Layers = Annotated[int, Meta(ge=1, le=2**10)]
_Size = Annotated[int, Meta(ge=1, le=2**20)]
_Long = Annotated[int, Meta(ge=1, le=2**30)]


class _Override(msgspec.Struct):
    head_dim: _Size | None = None
    num_key_value_heads: _Size | None = None


class _Text(msgspec.Struct):
    """What says how large a model is. Where a field is absent the library's default holds."""

    num_experts: _Size
    top_k_experts: _Size
    moe_intermediate_size: _Size
    vocab_size: _Long = 262_144
    hidden_size: _Size = 2304
    intermediate_size: _Size = 9216
    num_hidden_layers: _Layers = 30
    num_attention_heads: _Size = 8
    num_key_value_heads: _Size = 4
    num_global_key_value_heads: _Size | None = None
    head_dim: _Size = 256
    global_head_dim: _Size = 512
    layer_types: list[str] | None = None
    per_layer_config: dict[str, _Override] | None = None
    sliding_window: _Long = 512
    use_bidirectional_attention: str | None = None
    max_position_embeddings: _Long = 131_072
    attention_bias: bool = False


class _Packing(msgspec.Struct):
    quant_method: str = ""


class _Config(msgspec.Struct):
    text_config: _Text
    canvas_length: _Size = 256
    quantization_config: _Packing | None = None


def read_shape(folder: Path) -> Shape:
    """Raises weights-missing or weights-broken."""
    path = folder / "config.json"
    choose = "Choose a folder with a DiffusionGemma model."
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_Config)
        if config.quantization_config and config.quantization_config.quant_method != METHOD:
            raise EngineError(
                "weights-broken",
                f"Another program packed the model in {folder}. Mezzotint packs the original itself.",
                "Choose the original model.",
                config.quantization_config.quant_method,
            )
        return _shape(config)
    except OSError as error:
        raise EngineError("weights-missing", f"{path} cannot be read.", choose, str(error)) from error
    except (ValueError, IndexError, RecursionError) as error:
        message = f"{path} does not describe a DiffusionGemma model."
        raise EngineError("weights-broken", message, choose, str(error)) from error


def _shape(config: _Config) -> Shape:
    text = config.text_config
    hidden, width = text.hidden_size, text.intermediate_size
    window = text.sliding_window
    overrides = {int(key): override for key, override in (text.per_layer_config or {}).items()}
    limit = text.max_position_embeddings - MOST_CANVASES * config.canvas_length
    if limit < 1:
        raise ValueError("no room for a prompt")
    if text.top_k_experts > text.num_experts:
        raise ValueError("more experts for a token than there are")
    return Shape(
        layers=tuple(_layer(text, index, overrides) for index in range(text.num_hidden_layers)),
        # The embedding, which is the output layer too, the last norm, and self-conditioning.
        ends=Weights(
            experts=0,
            linear=3 * width * hidden,
            rest=(text.vocab_size + 2) * hidden,
            linear_rows=2 * width + hidden,
        ),
        window=window // 2 + 1 if text.use_bidirectional_attention == "all" else window,
        canvas_tokens=config.canvas_length,
        vocab_size=text.vocab_size,
        # Residuals; and a token's copies for its experts, their gates and products, and what they give.
        activations=6 * hidden + text.top_k_experts * (3 * hidden + 4 * text.moe_intermediate_size),
        limit_tokens=limit,
    )


def _layer(text: _Text, index: int, overrides: Mapping[int, _Override]) -> Layer:
    sliding = _slides(text, index)
    size, kv_heads = text.head_dim, text.num_key_value_heads
    if text.per_layer_config is not None:
        if override := overrides.get(index):
            size, kv_heads = override.head_dim or size, override.num_key_value_heads or kv_heads
    elif not sliding:
        size, kv_heads = text.global_head_dim, text.num_global_key_value_heads or kv_heads
    hidden, width, experts = text.hidden_size, text.intermediate_size, text.num_experts
    queries, keys = text.num_attention_heads * size, kv_heads * size
    # Keys and values; in a full layer the keys are the values.
    inward = queries + keys * (2 if sliding else 1)
    return Layer(
        weights=Weights(
            experts=experts * 3 * hidden * text.moe_intermediate_size,
            linear=(inward + queries + 3 * width) * hidden,
            # Norms and the router, which is never packed.
            rest=(8 + experts) * hidden + experts + 2 * size + (inward + hidden) * text.attention_bias,
            linear_rows=inward + 2 * width + 2 * hidden,
        ),
        kv=2 * keys,
        # What the library does for a mask, and for heads of more than 256 without one.
        copied=2 * queries if keys < queries else 0,
        sliding=sliding,
    )


def _slides(text: _Text, index: int) -> bool:
    if index == text.num_hidden_layers - 1:
        return False
    if text.layer_types is None:
        return (index + 1) % 6 != 0
    return text.layer_types[index] == "sliding_attention"
