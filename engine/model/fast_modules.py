"""Faster modules in place of the library's, with equal results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import GELUTanh
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import (
    DiffusionGemmaDecoderTextAttention,
    DiffusionGemmaEncoderTextModel,
    DiffusionGemmaRMSNorm,
    DiffusionGemmaTextExperts,
)

from engine.model.attention import IN_PARTS
from engine.model.canvas_cache import CanvasCache
from engine.quantization.parted_work import linear_in_parts

_ROOT = 1.5957691216057308  # 2 · sqrt(2 / π)


def replace_modules(model: nn.Module, device: torch.device) -> None:
    """In place, by those that suit the device; weights stay where they are."""
    on_cpu = device.type == "cpu"
    for module in list(model.modules()):
        if type(module) is DiffusionGemmaRMSNorm:
            module.__class__ = _CpuRMSNorm if on_cpu else _FusedRMSNorm
        elif type(module) is DiffusionGemmaDecoderTextAttention:
            module.__class__ = _CanvasAttention
        elif type(module) is DiffusionGemmaTextExperts and on_cpu:
            module.__class__ = _CpuExperts
        elif type(module) is nn.Linear and on_cpu:
            module.__class__ = _CpuLinear
        elif isinstance(module, DiffusionGemmaEncoderTextModel) and on_cpu:
            module.set_attn_implementation(IN_PARTS)  # the decoder has the same configuration
        if on_cpu and type(getattr(module, "act_fn", None)) is GELUTanh:
            module.act_fn = _Gelu()


class _CanvasAttention(DiffusionGemmaDecoderTextAttention):
    """Writes the canvas's keys and values behind the prefix's, where the library joins both anew."""

    def append_to_cache(
        self, past_key_values: Any, key_states: Tensor, value_states: Tensor
    ) -> tuple[Tensor, Tensor]:
        canvases: CanvasCache = past_key_values
        return canvases.append(self.layer_idx, key_states, value_states)


class _CpuLinear(nn.Linear):
    """In parts, between which a cancel is seen; a weight of another type is widened part by part."""

    before_part: Callable[[], None] = staticmethod(lambda: None)

    def forward(self, input: Tensor) -> Tensor:
        return linear_in_parts(input, self.weight, self.bias, self.before_part)


class _FusedRMSNorm(DiffusionGemmaRMSNorm):
    """One kernel for the library's eight."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        weight = self.weight if self.with_scale else None
        return functional.rms_norm(hidden_states, hidden_states.shape[-1:], weight, self.eps)


class _CpuRMSNorm(DiffusionGemmaRMSNorm):
    """On a processor the fused one is no faster than the library's; fewer passes are."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        wide = hidden_states.float()
        size = wide.shape[-1]
        squares = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        scale = squares.add_(size * self.eps).rsqrt_()
        normed: Tensor = wide * scale.mul_(size**0.5)
        if self.with_scale:
            normed.mul_(self.weight)
        return normed.to(hidden_states.dtype)


class _CpuExperts(DiffusionGemmaTextExperts):
    """The library's grouped matrix product, with cheaper ways of sorting rows by expert and back."""

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        count = top_k_index.shape[-1]
        experts, order = torch.sort(top_k_index.flatten())
        ends = torch.searchsorted(experts, torch.arange(len(self.down_proj)), right=True).int()
        rows = hidden_states.index_select(0, order // count)
        rows = functional.grouped_mm(rows, self.gate_up_proj.transpose(1, 2), offs=ends)
        gate, up = rows.chunk(2, dim=-1)
        rows = functional.grouped_mm(self.act_fn(gate) * up, self.down_proj.transpose(1, 2), offs=ends)
        places = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
        weights = top_k_weights.to(rows.dtype)
        return functional.embedding_bag(places.view(-1, count), rows, mode="sum", per_sample_weights=weights)


class _Gelu(nn.Module):
    """The tanh form of GELU as x · σ(y), which takes half the time on a processor without loss in fp32."""

    def forward(self, gate: Tensor) -> Tensor:
        if gate.dtype != torch.float32:
            return functional.gelu(gate, approximate="tanh")
        inner = gate.square().mul_(0.044715 * _ROOT).add_(_ROOT).mul_(gate)
        return inner.sigmoid_().mul_(gate)
