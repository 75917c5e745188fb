"""4-bit experts' products straight from packed weights, in two kernels: nothing is unpacked into memory.

A step of one canvas hits nearly all experts of a layer with a few tokens each, so its time is that of reading
the weights: a quarter of the bytes here, where unpacking first reads and writes them all in bf16 as well.
"""

from __future__ import annotations

from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from engine.quantization.kernels.grouped_product import (
    gelu_gate,
    multiply_packed,
    program_rows,
    store_weighted,
)
from engine.quantization.nf4 import Nf4Experts


class FusedNf4Experts(Nf4Experts):
    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        tokens, levels = _halved(hidden_states), _levels(hidden_states.device)
        held = self.packed, self.scales, self.scale_peaks, self.scale_means, self.scale_codes, levels
        layout = self.blocks, self.scale_peaks.shape[1]
        return multiply_packed(self, (_gate_up, _down), tokens, held, layout, top_k_index, top_k_weights)


@cache
def _levels(device: torch.device) -> Tensor:
    """The sixteen values of NF4."""
    from bitsandbytes.functional import get_4bit_type

    levels: Tensor = get_4bit_type("nf4", device=device)
    return levels


def _halved(rows: Tensor) -> Tensor:
    """Each row's even columns, then its odd ones: as two values share a byte."""
    halves: Tensor = rows.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)
    return halves


@triton.jit
def _add(
    total, even, odd, packed, scales, peaks, mean, codes, levels, begins, col_mask, block_k: tl.constexpr
):
    """total + rows · values: of an expert's columns the `block_k` values from `begins` on. even, odd: the
    rows' halves, (rows, block_k / 2).
    """
    places = (begins // 2)[:, None] + tl.arange(0, block_k // 2)[None, :]
    pairs = tl.load(packed + places, mask=col_mask[:, None], other=0).to(tl.int32)
    block = begins // 64
    scale = tl.load(codes + tl.load(scales + block, mask=col_mask, other=0).to(tl.int32))
    scale = (scale * tl.load(peaks + block // 256, mask=col_mask, other=0.0) + mean)[:, None]
    first = (tl.load(levels + (pairs >> 4)) * scale).to(even.dtype)
    second = (tl.load(levels + (pairs & 15)) * scale).to(odd.dtype)
    total = tl.dot(even, tl.trans(first), total, input_precision="ieee")
    return tl.dot(odd, tl.trans(second), total, input_precision="ieee")


@triton.jit
def _gate_up(
    hidden,
    packed,
    scales,
    peaks,
    means,
    codes,
    levels,
    order,
    begins,
    blocks,
    block_experts,
    inner,
    experts: tl.constexpr,
    row_values: tl.constexpr,
    row_blocks: tl.constexpr,
    row_peaks: tl.constexpr,
    count: tl.constexpr,
    size: tl.constexpr,
    width: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
):
    """inner[row] = GELU(gate · token) · (up · token), halved; rows are sorted by expert."""
    expert, numbers, row_mask = program_rows(begins, blocks, block_experts, experts, block_m)
    if expert >= experts:
        return
    packed += expert * (row_values // 2)
    scales += expert * row_blocks
    peaks += expert * row_peaks
    mean = tl.load(means + expert)
    tokens = tl.load(order + numbers, mask=row_mask, other=0) // count
    column = tl.program_id(1) * block_n + tl.arange(0, block_n)
    col_mask = column < width
    pair = tl.arange(0, block_k // 2)
    gate = tl.zeros((block_m, block_n), tl.float32)
    up = tl.zeros((block_m, block_n), tl.float32)
    for begin in range(0, size, block_k):
        place = hidden + tokens[:, None] * size + (begin // 2 + pair)[None, :]
        even = tl.load(place, mask=row_mask[:, None], other=0.0)
        odd = tl.load(place + size // 2, mask=row_mask[:, None], other=0.0)
        value = column * size + begin
        gate = _add(gate, even, odd, packed, scales, peaks, mean, codes, levels, value, col_mask, block_k)
        value += width * size
        up = _add(up, even, odd, packed, scales, peaks, mean, codes, levels, value, col_mask, block_k)
    half = (column % 2) * (width // 2) + column // 2
    place = inner + numbers[:, None] * width + half[None, :]
    tl.store(
        place, gelu_gate(gate, up).to(inner.dtype.element_ty), mask=row_mask[:, None] & col_mask[None, :]
    )


@triton.jit
def _down(
    inner,
    packed,
    scales,
    peaks,
    means,
    codes,
    levels,
    order,
    begins,
    blocks,
    block_experts,
    top_k_weights,
    result,
    experts: tl.constexpr,
    row_values: tl.constexpr,
    row_blocks: tl.constexpr,
    row_peaks: tl.constexpr,
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
    packed += expert * (row_values // 2)
    scales += expert * row_blocks
    peaks += expert * row_peaks
    mean = tl.load(means + expert)
    column = tl.program_id(1) * block_n + tl.arange(0, block_n)
    col_mask = column < size
    pair = tl.arange(0, block_k // 2)
    total = tl.zeros((block_m, block_n), tl.float32)
    for begin in range(0, width, block_k):
        place = inner + numbers[:, None] * width + (begin // 2 + pair)[None, :]
        even = tl.load(place, mask=row_mask[:, None], other=0.0)
        odd = tl.load(place + width // 2, mask=row_mask[:, None], other=0.0)
        value = skip + column * width + begin
        total = _add(total, even, odd, packed, scales, peaks, mean, codes, levels, value, col_mask, block_k)
    store_weighted(total, 1.0, order, numbers, row_mask, col_mask, column, top_k_weights, result, size)
