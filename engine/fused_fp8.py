"""FP8 experts' products straight from packed weights, in two kernels: half the bytes of bf16 are read."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from engine.experts import FP8, Fp8Experts
from engine.kernels import block, finish, gated, multiply


class FusedFp8Experts(Fp8Experts):
    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        held = self.packed.view(FP8), self.scales
        return multiply(self, (_gate_up, _down), hidden_states, held, (), top_k_index, top_k_weights)


@triton.jit
def _add(total, tokens, packed, begins, wanted, shared: tl.constexpr):
    """total + tokens · values: of an expert's columns the `shared` values from `begins` on."""
    places = begins[:, None] + tl.arange(0, shared)[None, :]
    values = tl.load(packed + places, mask=wanted[:, None], other=0.0).to(tokens.dtype)
    return tl.dot(tokens, tl.trans(values), total, input_precision="ieee")


@triton.jit
def _gate_up(
    hidden,
    packed,
    scales,
    order,
    begins,
    blocks,
    block_experts,
    inner,
    experts: tl.constexpr,
    row_values: tl.constexpr,
    count: tl.constexpr,
    size: tl.constexpr,
    width: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    shared: tl.constexpr,
):
    """inner[row] = GELU(gate · token) · (up · token); rows are sorted by expert."""
    expert, numbers, there = block(begins, blocks, block_experts, experts, rows)
    if expert >= experts:
        return
    packed += expert * row_values
    scale = tl.load(scales + expert * 2)
    tokens = tl.load(order + numbers, mask=there, other=0) // count
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    wanted = column < width
    gate = tl.zeros((rows, columns), tl.float32)
    up = tl.zeros((rows, columns), tl.float32)
    for begin in range(0, size, shared):
        place = hidden + tokens[:, None] * size + (begin + tl.arange(0, shared))[None, :]
        values = tl.load(place, mask=there[:, None], other=0.0)
        gate = _add(gate, values, packed, column * size + begin, wanted, shared)
        up = _add(up, values, packed, (width + column) * size + begin, wanted, shared)
    result = gated(gate * scale, up * scale)
    place = inner + numbers[:, None] * width + column[None, :]
    tl.store(place, result.to(inner.dtype.element_ty), mask=there[:, None] & wanted[None, :])


@triton.jit
def _down(
    inner,
    packed,
    scales,
    order,
    begins,
    blocks,
    block_experts,
    top_k_weights,
    result,
    experts: tl.constexpr,
    row_values: tl.constexpr,
    skip: tl.constexpr,
    width: tl.constexpr,
    size: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    shared: tl.constexpr,
):
    """result[order[row]] = weight · (down · inner[row]); skip: values before the down projection."""
    expert, numbers, there = block(begins, blocks, block_experts, experts, rows)
    if expert >= experts:
        return
    packed += expert * row_values + skip
    scale = tl.load(scales + expert * 2 + 1)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    wanted = column < size
    total = tl.zeros((rows, columns), tl.float32)
    for begin in range(0, width, shared):
        place = inner + numbers[:, None] * width + (begin + tl.arange(0, shared))[None, :]
        values = tl.load(place, mask=there[:, None], other=0.0)
        total = _add(total, values, packed, column * width + begin, wanted, shared)
    finish(total, scale, order, numbers, there, wanted, column, top_k_weights, result, size)
