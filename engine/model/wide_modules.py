"""Compute in fp32 with weights that stay in bf16, on a processor without arithmetic for bf16: there a product
in bf16 takes eight times as long as one in fp32 (measured on AVX2). Each weight is widened as it is used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import (
    DiffusionGemmaTextExperts,
    DiffusionGemmaTextScaledWordEmbedding,
)

from engine.checkpoints.memory_estimate import row_chunks
from engine.quantization.packed_experts import expert_by_expert

WIDENED_BYTES = 2**25
"""What is widened at a time."""


def compute_in_fp32(model: nn.Module) -> None:
    """In place. Packed experts do so by themselves."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = _WideLinear
        elif type(module) is DiffusionGemmaTextScaledWordEmbedding:
            module.__class__ = _WideEmbedding
        elif isinstance(module, DiffusionGemmaTextExperts):
            module.__class__ = _WideExperts


def mixture(shares: Tensor, weight: Tensor) -> Tensor:
    """shares: (rows, vocab) fp32; weight: (vocab, hidden) → (rows, hidden) fp32."""
    mixed = shares.new_zeros(len(shares), weight.shape[1])
    for part in row_chunks(len(weight), 4 * weight.shape[1], WIDENED_BYTES):
        mixed.addmm_(shares[:, part], weight[part].float())
    return mixed


class _WideLinear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        result = input.new_empty(*input.shape[:-1], self.out_features)
        for part in row_chunks(self.out_features, 4 * self.in_features, WIDENED_BYTES):
            result[..., part] = functional.linear(input, self.weight[part].float())
        return result if self.bias is None else result.add_(self.bias)


class _WideEmbedding(DiffusionGemmaTextScaledWordEmbedding):
    def forward(self, input_ids: Tensor) -> Tensor:
        rows = functional.embedding(input_ids, self.weight).float()
        return rows.mul_(self.embed_scale.to(self.weight.dtype))


class _WideExperts(DiffusionGemmaTextExperts):
    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        return expert_by_expert(self._one_expert, len(self.down_proj), hidden_states, top_k_index, top_k_weights)

    def _one_expert(self, expert: int, rows: Tensor) -> Tensor:
        gate, up = functional.linear(rows, self.gate_up_proj[expert].float()).chunk(2, dim=-1)
        return functional.linear(self.act_fn(gate) * up, self.down_proj[expert].float())
