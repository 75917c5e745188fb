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

from engine.experts import Nf4Experts
from engine.kernels import block, finish, gated, multiply


class FusedNf4Experts(Nf4Experts):
    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        tokens, levels = _halved(hidden_states), _levels(hidden_states.device)
        held = self.packed, self.scales, self.scale_peaks, self.scale_means, self.scale_codes, levels
        layout = self.blocks, self.scale_peaks.shape[1]
        return multiply(self, (_gate_up, _down), tokens, held, layout, top_k_index, top_k_weights)


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
def _add(total, even, odd, packed, scales, peaks, mean, codes, levels, begins, wanted, shared: tl.constexpr):
    """total + rows · values: of an expert's columns the `shared` values from `begins` on. even, odd: the
    rows' halves, (rows, shared / 2).
    """
    places = (begins // 2)[:, None] + tl.arange(0, shared // 2)[None, :]
    pairs = tl.load(packed + places, mask=wanted[:, None], other=0).to(tl.int32)
    block = begins // 64
    scale = tl.load(codes + tl.load(scales + block, mask=wanted, other=0).to(tl.int32))
    scale = (scale * tl.load(peaks + block // 256, mask=wanted, other=0.0) + mean)[:, None]
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
    rows: tl.constexpr,
    columns: tl.constexpr,
    shared: tl.constexpr,
):
    """inner[row] = GELU(gate · token) · (up · token), halved; rows are sorted by expert."""
    expert, numbers, there = block(begins, blocks, block_experts, experts, rows)
    if expert >= experts:
        return
    packed += expert * (row_values // 2)
    scales += expert * row_blocks
    peaks += expert * row_peaks
    mean = tl.load(means + expert)
    tokens = tl.load(order + numbers, mask=there, other=0) // count
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    wanted = column < width
    pair = tl.arange(0, shared // 2)
    gate = tl.zeros((rows, columns), tl.float32)
    up = tl.zeros((rows, columns), tl.float32)
    for begin in range(0, size, shared):
        place = hidden + tokens[:, None] * size + (begin // 2 + pair)[None, :]
        even = tl.load(place, mask=there[:, None], other=0.0)
        odd = tl.load(place + size // 2, mask=there[:, None], other=0.0)
        value = column * size + begin
        gate = _add(gate, even, odd, packed, scales, peaks, mean, codes, levels, value, wanted, shared)
        value += width * size
        up = _add(up, even, odd, packed, scales, peaks, mean, codes, levels, value, wanted, shared)
    half = (column % 2) * (width // 2) + column // 2
    place = inner + numbers[:, None] * width + half[None, :]
    tl.store(place, gated(gate, up).to(inner.dtype.element_ty), mask=there[:, None] & wanted[None, :])


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
    rows: tl.constexpr,
    columns: tl.constexpr,
    shared: tl.constexpr,
):
    """result[order[row]] = weight · (down · inner[row]); skip: values before the down projection."""
    expert, numbers, there = block(begins, blocks, block_experts, experts, rows)
    if expert >= experts:
        return
    packed += expert * (row_values // 2)
    scales += expert * row_blocks
    peaks += expert * row_peaks
    mean = tl.load(means + expert)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    wanted = column < size
    pair = tl.arange(0, shared // 2)
    total = tl.zeros((rows, columns), tl.float32)
    for begin in range(0, width, shared):
        place = inner + numbers[:, None] * width + (begin // 2 + pair)[None, :]
        even = tl.load(place, mask=there[:, None], other=0.0)
        odd = tl.load(place + width // 2, mask=there[:, None], other=0.0)
        value = skip + column * width + begin
        total = _add(total, even, odd, packed, scales, peaks, mean, codes, levels, value, wanted, shared)
    finish(total, 1.0, order, numbers, there, wanted, column, top_k_weights, result, size)
