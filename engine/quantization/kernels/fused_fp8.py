"""FP8 experts' products straight from packed weights, in two kernels: half the bytes of bf16 are read."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from engine.quantization.fp8 import FP8, Fp8Experts
from engine.quantization.kernels.grouped_product import (
    gelu_gate,
    multiply_packed,
    program_rows,
    store_weighted,
)


class FusedFp8Experts(Fp8Experts):
    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        held = self.packed.view(FP8), self.scales
        return multiply_packed(self, (_gate_up, _down), hidden_states, held, (), top_k_index, top_k_weights)


@triton.jit
def _add(total, tokens, packed, begins, col_mask, block_k: tl.constexpr):
    """total + tokens · values: of an expert's columns the `block_k` values from `begins` on."""
    places = begins[:, None] + tl.arange(0, block_k)[None, :]
    values = tl.load(packed + places, mask=col_mask[:, None], other=0.0).to(tokens.dtype)
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
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
):
    """inner[row] = GELU(gate · token) · (up · token); rows are sorted by expert."""
    expert, numbers, row_mask = program_rows(begins, blocks, block_experts, experts, block_m)
    if expert >= experts:
        return
    packed += expert * row_values
    scale = tl.load(scales + expert * 2)
    tokens = tl.load(order + numbers, mask=row_mask, other=0) // count
    column = tl.program_id(1) * block_n + tl.arange(0, block_n)
    col_mask = column < width
    gate = tl.zeros((block_m, block_n), tl.float32)
    up = tl.zeros((block_m, block_n), tl.float32)
    for begin in range(0, size, block_k):
        place = hidden + tokens[:, None] * size + (begin + tl.arange(0, block_k))[None, :]
        values = tl.load(place, mask=row_mask[:, None], other=0.0)
        gate = _add(gate, values, packed, column * size + begin, col_mask, block_k)
        up = _add(up, values, packed, (width + column) * size + begin, col_mask, block_k)
    result = gelu_gate(gate * scale, up * scale)
    place = inner + numbers[:, None] * width + column[None, :]
    tl.store(place, result.to(inner.dtype.element_ty), mask=row_mask[:, None] & col_mask[None, :])


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
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
):
    """result[order[row]] = weight · (down · inner[row]); skip: values before the down projection."""
    expert, numbers, row_mask = program_rows(begins, blocks, block_experts, experts, block_m)
    if expert >= experts:
        return
    packed += expert * row_values + skip
    scale = tl.load(scales + expert * 2 + 1)
    column = tl.program_id(1) * block_n + tl.arange(0, block_n)
    col_mask = column < size
    total = tl.zeros((block_m, block_n), tl.float32)
    for begin in range(0, width, block_k):
        place = inner + numbers[:, None] * width + (begin + tl.arange(0, block_k))[None, :]
        values = tl.load(place, mask=row_mask[:, None], other=0.0)
        total = _add(total, values, packed, column * width + begin, col_mask, block_k)
    store_weighted(total, scale, order, numbers, row_mask, col_mask, column, top_k_weights, result, size)
