"""What the kernels of fused experts have in common: the launch, how rows are dealt out, the gate, the end.

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

from engine.experts import PackedExperts

ROWS, COLUMNS = 32, 64  # of the result, a program
SHARED, LEAST_SHARED = 64, 32  # columns that a program multiplies at once: never across a scale's border
_GELU_OUTER = tl.constexpr(1.5957691216057308)  # 2 · sqrt(2 / π)
_GELU_INNER = tl.constexpr(0.044715)

os.environ.setdefault("TRITON_CACHE_DIR", str(platformdirs.user_cache_path("mezzotint") / "triton"))


def multiply(
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
    most, dealt = _deal(top_k_index, experts.num_experts)
    layout = experts.num_experts, experts.row_values, *layout
    tile = ROWS, COLUMNS, shared_columns(experts)
    inner = tokens.new_empty(top_k_index.numel(), width)
    result = tokens.new_empty(top_k_index.numel(), size)
    with torch.cuda.device_of(tokens):  # Triton launches on the current device
        gate_up[most, triton.cdiv(width, COLUMNS)](
            tokens.contiguous(), *held, *dealt, inner, *layout, count, size, width, *tile
        )
        weights, skip = top_k_weights.contiguous(), experts.gate_up_values
        down[most, triton.cdiv(size, COLUMNS)](
            inner, *held, *dealt, weights, result, *layout, skip, width, size, *tile
        )
    return result.view(-1, count, size).sum(dim=1)


def _deal(top_k_index: Tensor, experts: int) -> tuple[int, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Rows sorted by expert, each expert's in blocks of ROWS of its own → the most blocks that there can be,
    and what block() reads of them. There may be fewer: how many is known to the device alone.
    """
    device = top_k_index.device
    found, order = torch.sort(top_k_index.flatten(), stable=True)
    begins = torch.searchsorted(found, torch.arange(experts + 1, device=device))
    blocks = (begins.diff() + (ROWS - 1)).div_(ROWS, rounding_mode="floor").cumsum(0)
    blocks = functional.pad(blocks, (1, 0))
    most = min(experts, len(order)) + len(order) // ROWS
    block_experts = torch.searchsorted(blocks, torch.arange(most, device=device), right=True) - 1
    return most, (order, begins, blocks, block_experts)


def shared_columns(experts: PackedExperts) -> int:
    return math.gcd(SHARED, experts.gate_up_shape[-1], experts.down_shape[-1])


@triton.jit
def block(begins, blocks, block_experts, experts: tl.constexpr, rows: tl.constexpr):
    """A program's expert, `experts` for none, and its rows, with which of them there are."""
    number = tl.program_id(0)
    expert = tl.load(block_experts + number)
    there = expert < experts
    begin = tl.load(begins + expert, mask=there, other=0)
    end = tl.load(begins + expert + 1, mask=there, other=0)
    first = begin + (number - tl.load(blocks + expert, mask=there, other=0)) * rows
    numbers = first + tl.arange(0, rows)
    return expert, numbers, numbers < end


@triton.jit
def gated(gate, up):
    """GELU(gate) · up, in its tanh form."""
    inward = _GELU_OUTER * gate * (1.0 + _GELU_INNER * gate * gate)
    return gate * tl.sigmoid(inward) * up


@triton.jit
def finish(total, factor, order, numbers, there, wanted, column, top_k_weights, result, size: tl.constexpr):
    """result[order[row]] = weight · factor · total."""
    target = tl.load(order + numbers, mask=there, other=0)
    weight = tl.load(top_k_weights + target, mask=there, other=0.0).to(tl.float32) * factor
    place = result + target[:, None] * size + column[None, :]
    total = (total * weight[:, None]).to(result.dtype.element_ty)
    tl.store(place, total, mask=there[:, None] & wanted[None, :])
