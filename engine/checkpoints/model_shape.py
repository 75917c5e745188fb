"""The sizes of a model, from its config.json alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from engine.checkpoints.files import read_file
from engine.checkpoints.precision import BYTES_PER_WEIGHT, NF4_BYTES, QUANT_METHOD, Precision
from engine.protocol.errors import weights_broken

MAX_CANVASES = 4
SHORTEST_BLOCK = 128  # tokens of a prompt that a processor reads at once
EXPERT_ROWS = 16  # of them that each expert is to have


@dataclass(frozen=True)
class WeightCounts:
    """How many weights there are, by what a precision does with them."""

    experts: int
    linear: int
    """In linear layers outside the experts, the router's excepted."""
    rest: int
    linear_rows: int
    """The outputs of the linear layers: each has a scale in 8 bits."""

    def bytes_in(self, precision: Precision) -> int:
        each = BYTES_PER_WEIGHT[precision]
        weights = round(self.experts * each.expert + self.linear * each.linear + self.rest * each.other)
        row_scales = 4 * self.linear_rows if each.linear == 1 else 0
        scale_codes = 4 * 256 if each.expert == NF4_BYTES and self.experts else 0
        return weights + row_scales + scale_codes


@dataclass(frozen=True)
class LayerShape:
    """Sizes of one layer."""

    weights: WeightCounts
    kv: int
    """Numbers kept for each token."""
    copied: int
    """Of these, with a copy for each head that shares them."""
    sliding: bool


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a model without its vision tower."""

    layers: tuple[LayerShape, ...]
    ends: WeightCounts
    """What is outside the layers."""
    window: int
    """Of the sliding layers, in tokens."""
    canvas_tokens: int
    vocab_size: int
    activations: int
    """Numbers that the busiest layer makes of one token."""
    block_tokens: int
    """Of a prompt that a processor reads at once: as many as make an expert's bytes worth reading, and no
    more than a canvas has, whose work is planned.
    """
    limit_tokens: int
    """The longest prompt that leaves room for the canvases."""
    packed: Precision | None
    """The precision of a packed copy, which can be loaded in no other; None for an original."""


# A stranger's configuration must neither lie nor take hours to count.
_Layers = Annotated[int, Meta(ge=1, le=2**10)]
_Size = Annotated[int, Meta(ge=1, le=2**20)]
_Long = Annotated[int, Meta(ge=1, le=2**30)]


class _LayerOverride(msgspec.Struct):
    head_dim: _Size | None = None
    num_key_value_heads: _Size | None = None


class _TextConfig(msgspec.Struct):
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
    per_layer_config: dict[str, _LayerOverride] | None = None
    sliding_window: _Long = 512
    use_bidirectional_attention: str | None = None
    max_position_embeddings: _Long = 131_072
    attention_bias: bool = False


class _QuantizationConfig(msgspec.Struct):
    quant_method: str = ""
    precision: Any = None


class _ModelConfig(msgspec.Struct):
    text_config: _TextConfig
    canvas_length: _Size = 256
    quantization_config: _QuantizationConfig | None = None


def read_shape(folder: Path) -> ModelShape:
    """Of a folder that need hold no more than config.json. Raises weights-missing or weights-broken."""
    path = folder / "config.json"
    return parse_shape(read_file(path), path)


def parse_shape(config_json: bytes, path: Path) -> ModelShape:
    """path: where it was read, for the message. Raises weights-broken."""
    try:
        config = msgspec.json.decode(config_json, type=_ModelConfig)
        packing = config.quantization_config
        if packing and packing.quant_method != QUANT_METHOD:
            message = (
                f"Another program packed the model in {path.parent}. Mezzotint packs the original itself."
            )
            raise weights_broken(message, packing.quant_method, "Choose the original model.")
        return _shape(config)
    except (ValueError, IndexError, RecursionError) as error:
        message = f"{path} does not describe a DiffusionGemma model."
        raise weights_broken(message, str(error), "Choose a folder with a DiffusionGemma model.") from error


def _shape(config: _ModelConfig) -> ModelShape:
    text = config.text_config
    hidden, width = text.hidden_size, text.intermediate_size
    window = text.sliding_window
    overrides = {int(key): override for key, override in (text.per_layer_config or {}).items()}
    limit = text.max_position_embeddings - MAX_CANVASES * config.canvas_length
    if limit < 1:
        raise ValueError("no room for a prompt")
    if text.top_k_experts > text.num_experts:
        raise ValueError("more experts for a token than there are")
    return ModelShape(
        layers=tuple(_layer(text, index, overrides) for index in range(text.num_hidden_layers)),
        # The embedding, which is the output layer too, the last norm, and self-conditioning.
        ends=WeightCounts(
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
        block_tokens=max(
            SHORTEST_BLOCK, min(config.canvas_length, EXPERT_ROWS * text.num_experts // text.top_k_experts)
        ),
        limit_tokens=limit,
        packed=_packed(config.quantization_config),
    )


def _packed(config: _QuantizationConfig | None) -> Precision | None:
    return next((known for known in get_args(Precision) if config and known == config.precision), None)


def _layer(text: _TextConfig, index: int, overrides: Mapping[int, _LayerOverride]) -> LayerShape:
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
    return LayerShape(
        weights=WeightCounts(
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


def _slides(text: _TextConfig, index: int) -> bool:
    if index == text.num_hidden_layers - 1:
        return False
    if text.layer_types is None:
        return (index + 1) % 6 != 0
    return text.layer_types[index] == "sliding_attention"
