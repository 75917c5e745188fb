"""The grouped product of packed experts: sort rows by expert, launch the kernels, and what kernels share.

The schedule follows vLLM's fused_moe (Apache-2.0).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import platformdirs
import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from engine.quantization.packed_experts import PackedExperts

BLOCK_M, BLOCK_N = 32, 64  # rows and columns of the result that a program computes
BLOCK_K, MIN_BLOCK_K = 64, 32  # values that it multiplies at once: never across a scale's border
_GELU_OUTER = tl.constexpr(1.5957691216057308)  # 2 · sqrt(2 / π)
_GELU_INNER = tl.constexpr(0.044715)

os.environ.setdefault("TRITON_CACHE_DIR", str(platformdirs.user_cache_path("mezzotint") / "triton"))


def multiply_packed(
    experts: PackedExperts,
    kernel: Any,
    tokens: Tensor,
    packing: Sequence[Tensor],
    layout: Sequence[int],
    top_k_index: Tensor,
    top_k_weights: Tensor,
) -> Tensor:
    """tokens: (tokens, hidden); top_k_index, top_k_weights: (tokens, k) → (tokens, hidden).

    kernel: is launched twice on the values from `start` on of each expert, rows as _sort_by_expert() says:
    gated, result[row] = GELU(gate · token) · (up · token); then result[sorted_rows[row]] = weight ·
    (down · given[row]). packing, layout: what it reads of the experts, and the sizes of one expert's part of
    it. Waits for no device, and reads only the experts that were hit.
    """
    top_k = top_k_index.shape[-1]
    hidden_size, intermediate_size = experts.gate_up_shape[-1], experts.down_shape[-1]
    max_blocks, schedule = _sort_by_expert(top_k_index, experts.num_experts)
    intermediate = tokens.new_empty(top_k_index.numel(), intermediate_size)
    result = tokens.new_empty(top_k_index.numel(), hidden_size)

    def launch(given: Tensor, into: Tensor, gated: bool, start: int) -> None:
        kernel[max_blocks, triton.cdiv(into.shape[1], BLOCK_N)](
            *(given, *packing, *schedule, top_k_weights.contiguous(), into),
            *(experts.num_experts, experts.row_values, *layout, gated, top_k, start),
            *(given.shape[1], into.shape[1], BLOCK_M, BLOCK_N, block_k_of(experts)),
        )

    with torch.cuda.device_of(tokens):  # Triton launches on the current device
        launch(tokens.contiguous(), intermediate, gated=True, start=0)
        launch(intermediate, result, gated=False, start=experts.gate_up_values)
    return result.view(-1, top_k, hidden_size).sum(dim=1)


def _sort_by_expert(
    top_k_index: Tensor, num_experts: int
) -> tuple[int, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Each token's k copies are rows: sort them by expert, and cut each expert's rows into blocks of BLOCK_M
    → the most blocks that there can be (only the device knows how many there are), and for program_rows()
    the rows in order, where each expert's rows begin, where its blocks begin, and each block's expert.
    """
    device = top_k_index.device
    row_experts, sorted_rows = torch.sort(top_k_index.flatten(), stable=True)
    expert_starts = torch.searchsorted(row_experts, torch.arange(num_experts + 1, device=device))
    blocks = (expert_starts.diff() + (BLOCK_M - 1)).div_(BLOCK_M, rounding_mode="floor")
    block_starts = functional.pad(blocks.cumsum(0), (1, 0))
    max_blocks = min(num_experts, len(sorted_rows)) + len(sorted_rows) // BLOCK_M
    block_experts = torch.searchsorted(block_starts, torch.arange(max_blocks, device=device), right=True) - 1
    return max_blocks, (sorted_rows, expert_starts, block_starts, block_experts)


def block_k_of(experts: PackedExperts) -> int:
    return math.gcd(BLOCK_K, experts.gate_up_shape[-1], experts.down_shape[-1])


@triton.jit
def program_rows(
    expert_starts, block_starts, block_experts, num_experts: tl.constexpr, block_m: tl.constexpr
):
    """A program's expert (`num_experts` for none), its rows, and which of these there are."""
    block = tl.program_id(0)
    expert = tl.load(block_experts + block)
    row_mask = expert < num_experts
    begin = tl.load(expert_starts + expert, mask=row_mask, other=0)
    end = tl.load(expert_starts + expert + 1, mask=row_mask, other=0)
    first = begin + (block - tl.load(block_starts + expert, mask=row_mask, other=0)) * block_m
    rows = first + tl.arange(0, block_m)
    return expert, rows, rows < end


@triton.jit
def store_gated(gate, up, rows, row_mask, col_mask, cols, result, size: tl.constexpr):
    """result[row, cols] = GELU(gate) · up, in its tanh form."""
    inward = _GELU_OUTER * gate * (1.0 + _GELU_INNER * gate * gate)
    gated = (gate * tl.sigmoid(inward) * up).to(result.dtype.element_ty)
    pointers = result + rows[:, None] * size + cols[None, :]
    tl.store(pointers, gated, mask=row_mask[:, None] & col_mask[None, :])


@triton.jit
def store_weighted(
    acc, sorted_rows, rows, row_mask, col_mask, cols, top_k_weights, result, size: tl.constexpr
):
    """result[sorted_rows[row], cols] = weight · acc."""
    copies = tl.load(sorted_rows + rows, mask=row_mask, other=0)
    weight = tl.load(top_k_weights + copies, mask=row_mask, other=0.0).to(tl.float32)
    pointers = result + copies[:, None] * size + cols[None, :]
    acc = (acc * weight[:, None]).to(result.dtype.element_ty)
    tl.store(pointers, acc, mask=row_mask[:, None] & col_mask[None, :])
