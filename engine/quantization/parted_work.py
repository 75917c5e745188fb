"""Products on a processor in parts, so that a cancel is seen between two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor
from torch.nn import functional

from engine.checkpoints.memory_estimate import WIDENED_BYTES, row_chunks

PART_PRODUCTS = 2**31
"""Multiplications in a part: 50 ms of a core with AVX2."""


def weight_parts(weight: Tensor, given: Tensor) -> Iterator[slice]:
    """Of a weight, (outputs, columns), that multiplies given, (…, columns), and is widened to its type."""
    rows, bytes_a_row = given.numel() // max(1, given.shape[-1]), 4 * weight.shape[1]
    widest = WIDENED_BYTES if weight.dtype != given.dtype else len(weight) * bytes_a_row
    busiest = PART_PRODUCTS * 4 // max(1, rows)
    return row_chunks(len(weight), bytes_a_row, min(widest, busiest))


def linear_in_parts(
    given: Tensor, weight: Tensor, bias: Tensor | None, before_part: Callable[[], None]
) -> Tensor:
    """functional.linear. given: (…, columns); weight: (outputs, columns), of any type → (…, outputs).

    before_part: may raise.
    """
    parts = list(weight_parts(weight, given))
    if len(parts) == 1:
        before_part()
        return _linear(given, weight, bias)
    result = given.new_empty(*given.shape[:-1], len(weight))
    for part in parts:
        before_part()
        result[..., part] = _linear(given, weight[part], None if bias is None else bias[part])
    return result


def _linear(given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    bias = None if bias is None else bias.to(given.dtype)
    return functional.linear(given, weight.to(given.dtype), bias)
