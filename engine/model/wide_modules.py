"""Compute in fp32 with weights that stay in bf16, on a processor without arithmetic for bf16: there a product
in bf16 takes eight times as long as one in fp32 (measured on AVX2). Each weight is widened as it is used.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import (
    DiffusionGemmaTextExperts,
    DiffusionGemmaTextScaledWordEmbedding,
)

from engine.quantization.packed_experts import expert_by_expert


def compute_in_fp32(model: nn.Module) -> None:
    """In place. Packed experts and linear layers for processors do so by themselves."""
    for module in model.modules():
        if type(module) is DiffusionGemmaTextScaledWordEmbedding:
            module.__class__ = _WideEmbedding
        elif isinstance(module, DiffusionGemmaTextExperts):
            module.__class__ = _WideExperts


class _WideEmbedding(DiffusionGemmaTextScaledWordEmbedding):
    def forward(self, input_ids: Tensor) -> Tensor:
        rows = functional.embedding(input_ids, self.weight).float()
        return rows.mul_(self.embed_scale.to(self.weight.dtype))


class _WideExperts(DiffusionGemmaTextExperts):
    before_part: Callable[[], None]

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        return expert_by_expert(self, hidden_states, top_k_index, top_k_weights)

    def one_expert(self, expert: int, rows: Tensor) -> Tensor:
        gate, up = functional.linear(rows, self.gate_up_proj[expert].float()).chunk(2, dim=-1)
        return functional.linear(self.act_fn(gate) * up, self.down_proj[expert].float())
