"""Launch the kernels of fused experts: sort rows by expert, multiply, gate, store.

How the rows are dealt out follows vLLM's fused_moe (Apache-2.0).
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

BLOCK_M, BLOCK_N = 32, 64  # of the result, a program
BLOCK_K, MIN_BLOCK_K = 64, 32  # columns that a program multiplies at once: never across a scale's border
_GELU_OUTER = tl.constexpr(1.5957691216057308)  # 2 · sqrt(2 / π)
_GELU_INNER = tl.constexpr(0.044715)

os.environ.setdefault("TRITON_CACHE_DIR", str(platformdirs.user_cache_path("mezzotint") / "triton"))


def multiply_packed(
    experts: PackedExperts,
    kernels: tuple[Any, Any],
    tokens: Tensor,
    held: Sequence[Tensor],
    layout: Sequence[int],
    top_k_index: Tensor,
    top_k_weights: Tensor,
) -> Tensor:
    """tokens: (tokens, hidden); top_k_index, top_k_weights: (tokens, k) → (tokens, hidden).

    kernels: for gate and up, and for down; held, layout: what these read of the experts' packing. Waits for
    no device, and reads only the experts that were hit.
    """
    gate_up, down = kernels
    count = top_k_index.shape[-1]
    size, width = experts.gate_up_shape[-1], experts.down_shape[-1]
    most, dealt = _sort_by_expert(top_k_index, experts.num_experts)
    layout = experts.num_experts, experts.row_values, *layout
    tile = BLOCK_M, BLOCK_N, block_k_of(experts)
    inner = tokens.new_empty(top_k_index.numel(), width)
    result = tokens.new_empty(top_k_index.numel(), size)
    with torch.cuda.device_of(tokens):  # Triton launches on the current device
        gate_up[most, triton.cdiv(width, BLOCK_N)](
            tokens.contiguous(), *held, *dealt, inner, *layout, count, size, width, *tile
        )
        weights, skip = top_k_weights.contiguous(), experts.gate_up_values
        down[most, triton.cdiv(size, BLOCK_N)](
            inner, *held, *dealt, weights, result, *layout, skip, width, size, *tile
        )
    return result.view(-1, count, size).sum(dim=1)


def _sort_by_expert(top_k_index: Tensor, experts: int) -> tuple[int, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Rows sorted by expert, each expert's in blocks of BLOCK_M of its own → the most blocks that there can
    be, and what program_rows() reads of them. There may be fewer: how many only the device knows.
    """
    device = top_k_index.device
    found, order = torch.sort(top_k_index.flatten(), stable=True)
    begins = torch.searchsorted(found, torch.arange(experts + 1, device=device))
    blocks = (begins.diff() + (BLOCK_M - 1)).div_(BLOCK_M, rounding_mode="floor").cumsum(0)
    blocks = functional.pad(blocks, (1, 0))
    most = min(experts, len(order)) + len(order) // BLOCK_M
    block_experts = torch.searchsorted(blocks, torch.arange(most, device=device), right=True) - 1
    return most, (order, begins, blocks, block_experts)


def block_k_of(experts: PackedExperts) -> int:
    return math.gcd(BLOCK_K, experts.gate_up_shape[-1], experts.down_shape[-1])


@triton.jit
def program_rows(begins, blocks, block_experts, experts: tl.constexpr, block_m: tl.constexpr):
    """A program's expert, `experts` for none, and its rows, and which of these there are."""
    number = tl.program_id(0)
    expert = tl.load(block_experts + number)
    row_mask = expert < experts
    begin = tl.load(begins + expert, mask=row_mask, other=0)
    end = tl.load(begins + expert + 1, mask=row_mask, other=0)
    first = begin + (number - tl.load(blocks + expert, mask=row_mask, other=0)) * block_m
    numbers = first + tl.arange(0, block_m)
    return expert, numbers, numbers < end


@triton.jit
def gelu_gate(gate, up):
    """GELU(gate) · up, in its tanh form."""
    inward = _GELU_OUTER * gate * (1.0 + _GELU_INNER * gate * gate)
    return gate * tl.sigmoid(inward) * up


@triton.jit
def store_weighted(
    total, factor, order, numbers, row_mask, col_mask, column, top_k_weights, result, size: tl.constexpr
):
    """result[order[row]] = weight · factor · total."""
    target = tl.load(order + numbers, mask=row_mask, other=0)
    weight = tl.load(top_k_weights + target, mask=row_mask, other=0.0).to(tl.float32) * factor
    place = result + target[:, None] * size + column[None, :]
    total = (total * weight[:, None]).to(result.dtype.element_ty)
    tl.store(place, total, mask=row_mask[:, None] & col_mask[None, :])
