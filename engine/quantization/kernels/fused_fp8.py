"""Triton kernels that multiply FP8 experts as they are packed: half the bytes of bf16 are read."""

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
        packing = self.packed.view(FP8), self.scales
        return multiply_packed(
            self, (_gate_up, _down), hidden_states, packing, (), top_k_index, top_k_weights
        )


@triton.jit
def _add(acc, tokens, packed, starts, col_mask, block_k: tl.constexpr):
    """acc + tokens · values: of an expert's columns the `block_k` values from `starts` on."""
    pointers = starts[:, None] + tl.arange(0, block_k)[None, :]
    values = tl.load(packed + pointers, mask=col_mask[:, None], other=0.0).to(tokens.dtype)
    return tl.dot(tokens, tl.trans(values), acc, input_precision="ieee")


@triton.jit
def _gate_up(
    hidden, packed, scales,
    sorted_rows, expert_starts, block_starts, block_experts,
    intermediate,
    num_experts: tl.constexpr, row_values: tl.constexpr, top_k: tl.constexpr, hidden_size: tl.constexpr,
    intermediate_size: tl.constexpr,
    block_m: tl.constexpr, block_n: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """intermediate[row] = GELU(gate · token) · (up · token); rows: see _sort_by_expert()."""
    expert, rows, row_mask = program_rows(expert_starts, block_starts, block_experts, num_experts, block_m)
    if expert >= num_experts:
        return
    packed += expert * row_values
    scale = tl.load(scales + expert * 2)
    tokens = tl.load(sorted_rows + rows, mask=row_mask, other=0) // top_k
    cols = tl.program_id(1) * block_n + tl.arange(0, block_n)
    col_mask = cols < intermediate_size
    gate = tl.zeros((block_m, block_n), tl.float32)
    up = tl.zeros((block_m, block_n), tl.float32)
    for begin in range(0, hidden_size, block_k):
        pointers = hidden + tokens[:, None] * hidden_size + (begin + tl.arange(0, block_k))[None, :]
        values = tl.load(pointers, mask=row_mask[:, None], other=0.0)
        gate = _add(gate, values, packed, cols * hidden_size + begin, col_mask, block_k)
        up = _add(up, values, packed, (intermediate_size + cols) * hidden_size + begin, col_mask, block_k)
    result = gelu_gate(gate * scale, up * scale)
    pointers = intermediate + rows[:, None] * intermediate_size + cols[None, :]
    tl.store(pointers, result.to(intermediate.dtype.element_ty), mask=row_mask[:, None] & col_mask[None, :])


@triton.jit
def _down(
    intermediate, packed, scales,
    sorted_rows, expert_starts, block_starts, block_experts,
    top_k_weights, result,
    num_experts: tl.constexpr, row_values: tl.constexpr, down_start: tl.constexpr,
    intermediate_size: tl.constexpr, hidden_size: tl.constexpr,
    block_m: tl.constexpr, block_n: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """result[sorted_rows[row]] = weight · (down · intermediate[row]); down_start: where its values begin."""
    expert, rows, row_mask = program_rows(expert_starts, block_starts, block_experts, num_experts, block_m)
    if expert >= num_experts:
        return
    packed += expert * row_values + down_start
    scale = tl.load(scales + expert * 2 + 1)
    cols = tl.program_id(1) * block_n + tl.arange(0, block_n)
    col_mask = cols < hidden_size
    acc = tl.zeros((block_m, block_n), tl.float32)
    for begin in range(0, intermediate_size, block_k):
        pointers = intermediate + rows[:, None] * intermediate_size + (begin + tl.arange(0, block_k))[None, :]
        values = tl.load(pointers, mask=row_mask[:, None], other=0.0)
        acc = _add(acc, values, packed, cols * intermediate_size + begin, col_mask, block_k)
    store_weighted(
        acc, scale, sorted_rows, rows, row_mask, col_mask, cols, top_k_weights, result, hidden_size
    )
