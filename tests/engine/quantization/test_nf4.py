"""NF4 codes on a processor against bitsandbytes' own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.quantization import nf4

functional = pytest.importorskip("bitsandbytes.functional")


def borders() -> Tensor:
    """Values on, and a little beside, the borders between two codes, in blocks whose largest is 1."""
    levels = functional.get_4bit_type("nf4", device="cpu")
    between = (levels[:-1] + levels[1:]) / 2
    near = [torch.nextafter(between, torch.tensor(away)) for away in (-2.0, 2.0)]
    return torch.cat([torch.ones(3), between, *near, levels])


def cases() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    special = torch.tensor([0.0, -0.0, 1e-45, -1e-45, 1e-38, 3e38, -3e38, torch.inf, -torch.inf, torch.nan])
    return {
        "random": torch.randn(64 * 300, generator=generator),
        "uniform": torch.rand(64 * 300, generator=generator) * 2 - 1,
        "borders": borders(),
        "zeros": torch.zeros(64),
        "special": torch.cat([special[[n]].expand(64) for n in range(len(special))]),
        "mixed": torch.cat([special, torch.randn(54, generator=generator)]),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", cases())
def test_codes_are_those_of_bitsandbytes(case: str, dtype: torch.dtype) -> None:
    values = cases()[case].to(dtype)
    values = torch.nn.functional.pad(values, (0, -len(values) % nf4.BLOCK_VALUES))
    codes, peaks = nf4.quantize(values)
    expected = torch.ops.bitsandbytes.quantize_4bit(values, nf4.BLOCK_VALUES, "nf4", torch.uint8)
    assert torch.equal(codes, expected[0].flatten())
    torch.testing.assert_close(peaks, expected[1], rtol=0, atol=0, equal_nan=True)
