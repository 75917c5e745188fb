"""Products in parts on a processor."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.quantization.parted_work import linear_in_parts


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize("outputs_a_part", [1, 5, 8, 9, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
@pytest.mark.parametrize("biased", [False, True])
def test_a_product_in_parts_is_the_product(
    outputs_a_part: int, dtype: torch.dtype, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, weight = drawn(2, 3, 4), (9 * drawn(8, 4)).to(dtype)
    bias = drawn(8).to(torch.bfloat16) if biased else None
    monkeypatch.setattr("engine.quantization.parted_work.PART_PRODUCTS", 6 * 4 * outputs_a_part)
    checks: list[None] = []
    found = linear_in_parts(given, weight, bias, lambda: checks.append(None))
    expected = functional.linear(given, weight.float(), None if bias is None else bias.float())
    torch.testing.assert_close(found, expected)
    assert len(checks) == -(-8 // outputs_a_part)


def test_a_weight_of_another_type_is_widened_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.quantization.parted_work.WIDENED_BYTES", 4 * 4 * 3)
    for dtype, count in ((torch.bfloat16, 3), (torch.float32, 1)):
        checks: list[None] = []
        linear_in_parts(drawn(2, 4), drawn(8, 4).to(dtype), None, lambda: checks.append(None))  # noqa: B023
        assert len(checks) == count


def test_no_rows_give_no_rows() -> None:
    assert linear_in_parts(drawn(0, 4), drawn(8, 4), None, lambda: None).shape == (0, 8)
