"""Triton kernels that multiply FP8 experts as they are packed: half the bytes of bf16 are read."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from engine.quantization.fp8 import FP8, Fp8Experts
from engine.quantization.kernels.grouped_product import (
    multiply_packed,
    program_rows,
    store_gated,
    store_weighted,
)


class FusedFp8Experts(Fp8Experts):
    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        packing = self.packed.view(FP8), self.scales
        return multiply_packed(self, _multiply, hidden_states, packing, (), top_k_index, top_k_weights)


@triton.jit
def _add(acc, tokens, packed, starts, col_mask, block_k: tl.constexpr):
    """acc + tokens · values: of an expert's columns the `block_k` values from `starts` on."""
    pointers = starts[:, None] + tl.arange(0, block_k)[None, :]
    values = tl.load(packed + pointers, mask=col_mask[:, None], other=0.0).to(tokens.dtype)
    return tl.dot(tokens, tl.trans(values), acc, input_precision="ieee")


@triton.jit
def _multiply(
    given, packed, scales,
    sorted_rows, expert_starts, block_starts, block_experts, top_k_weights, result,
    num_experts: tl.constexpr, row_values: tl.constexpr, gated: tl.constexpr, top_k: tl.constexpr,
    start: tl.constexpr, given_size: tl.constexpr, size: tl.constexpr,
    block_m: tl.constexpr, block_n: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """See multiply_packed()."""
    expert, rows, row_mask = program_rows(expert_starts, block_starts, block_experts, num_experts, block_m)
    if expert >= num_experts:
        return
    packed += expert * row_values + start
    scale = tl.load(scales + expert * 2 + (0 if gated else 1))
    given_rows = tl.load(sorted_rows + rows, mask=row_mask, other=0) // top_k if gated else rows
    cols = tl.program_id(1) * block_n + tl.arange(0, block_n)
    col_mask = cols < size
    acc = tl.zeros((block_m, block_n), tl.float32)
    up = tl.zeros((block_m, block_n), tl.float32)
    for begin in range(0, given_size, block_k):
        pointers = given + given_rows[:, None] * given_size + (begin + tl.arange(0, block_k))[None, :]
        values = tl.load(pointers, mask=row_mask[:, None], other=0.0)
        acc = _add(acc, values, packed, cols * given_size + begin, col_mask, block_k)
        if gated:
            up = _add(up, values, packed, (size + cols) * given_size + begin, col_mask, block_k)
    if gated:
        store_gated(acc * scale, up * scale, rows, row_mask, col_mask, cols, result, size)
    else:
        store_weighted(acc * scale, sorted_rows, rows, row_mask, col_mask, cols, top_k_weights, result, size)
