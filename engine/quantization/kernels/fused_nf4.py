"""Triton kernels that multiply NF4 experts as they are packed: nothing is unpacked into memory.

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
    multiply_packed,
    program_rows,
    store_gated,
    store_weighted,
)
from engine.quantization.nf4 import Nf4Experts


class FusedNf4Experts(Nf4Experts):
    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        tokens, levels = _even_then_odd(hidden_states), _nf4_levels(hidden_states.device)
        packing = self.packed, self.scales, self.scale_peaks, self.scale_means, self.scale_codes, levels
        layout = self.blocks, self.scale_peaks.shape[1]
        return multiply_packed(self, _multiply, tokens, packing, layout, top_k_index, top_k_weights)


@cache
def _nf4_levels(device: torch.device) -> Tensor:
    """The sixteen values of NF4."""
    from bitsandbytes.functional import get_4bit_type

    levels: Tensor = get_4bit_type("nf4", device=device)
    return levels


def _even_then_odd(rows: Tensor) -> Tensor:
    """Each row's even columns, then its odd ones: as two values share a byte."""
    halves: Tensor = rows.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)
    return halves


@triton.jit
def _add(acc, even, odd, packed, scales, peaks, mean, codes, levels, starts, col_mask, block_k: tl.constexpr):
    """acc + rows · values: of an expert's columns the `block_k` values from `starts` on. even, odd: the
    rows' halves, (rows, block_k / 2).
    """
    pointers = (starts // 2)[:, None] + tl.arange(0, block_k // 2)[None, :]
    pairs = tl.load(packed + pointers, mask=col_mask[:, None], other=0).to(tl.int32)
    block = starts // 64
    scale = tl.load(codes + tl.load(scales + block, mask=col_mask, other=0).to(tl.int32))
    scale = (scale * tl.load(peaks + block // 256, mask=col_mask, other=0.0) + mean)[:, None]
    first = (tl.load(levels + (pairs >> 4)) * scale).to(even.dtype)
    second = (tl.load(levels + (pairs & 15)) * scale).to(odd.dtype)
    acc = tl.dot(even, tl.trans(first), acc, input_precision="ieee")
    return tl.dot(odd, tl.trans(second), acc, input_precision="ieee")


@triton.jit
def _multiply(
    given, packed, scales, peaks, means, codes, levels,
    sorted_rows, expert_starts, block_starts, block_experts, top_k_weights, result,
    num_experts: tl.constexpr, row_values: tl.constexpr, row_blocks: tl.constexpr, row_peaks: tl.constexpr,
    gated: tl.constexpr, top_k: tl.constexpr,
    start: tl.constexpr, given_size: tl.constexpr, size: tl.constexpr,
    block_m: tl.constexpr, block_n: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """See multiply_packed(); rows that are given are halved, and so is a gated result."""
    expert, rows, row_mask = program_rows(expert_starts, block_starts, block_experts, num_experts, block_m)
    if expert >= num_experts:
        return
    packed += expert * (row_values // 2)
    scales += expert * row_blocks
    peaks += expert * row_peaks
    mean = tl.load(means + expert)
    given_rows = tl.load(sorted_rows + rows, mask=row_mask, other=0) // top_k if gated else rows
    cols = tl.program_id(1) * block_n + tl.arange(0, block_n)
    col_mask = cols < size
    pair = tl.arange(0, block_k // 2)
    acc = tl.zeros((block_m, block_n), tl.float32)
    up = tl.zeros((block_m, block_n), tl.float32)
    for begin in range(0, given_size, block_k):
        pointers = given + given_rows[:, None] * given_size + (begin // 2 + pair)[None, :]
        even = tl.load(pointers, mask=row_mask[:, None], other=0.0)
        odd = tl.load(pointers + given_size // 2, mask=row_mask[:, None], other=0.0)
        value = start + cols * given_size + begin
        acc = _add(acc, even, odd, packed, scales, peaks, mean, codes, levels, value, col_mask, block_k)
        if gated:
            value += size * given_size
            up = _add(up, even, odd, packed, scales, peaks, mean, codes, levels, value, col_mask, block_k)
    if gated:
        half = (cols % 2) * (size // 2) + cols // 2
        store_gated(acc, up, rows, row_mask, col_mask, half, result, size)
    else:
        store_weighted(acc, sorted_rows, rows, row_mask, col_mask, cols, top_k_weights, result, size)
