"""The precisions that a model can be loaded in, with the bytes of a weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from engine.protocol.events import Device

Precision = Literal["bf16", "fp32", "fp8", "4-bit", "4-bit-tight"]
"""fp8, 4-bit: the experts in FP8 or NF4, the rest in bf16. 4-bit-tight: of that rest, the linear layers in 8
bits."""

LOADABLE_PRECISIONS: tuple[Precision, ...] = ("bf16", "fp8", "4-bit", "4-bit-tight")
"""On graphics cards, the largest first."""
PACKED_PRECISIONS: tuple[Precision, ...] = ("fp8", "4-bit", "4-bit-tight")
"""While they are loaded; the packed copy is kept, and takes about as many bytes as the weights."""
QUANT_METHOD = "mezzotint"
"""How that was done, in the copy's configuration."""

NF4_BYTES = 1 / 2 + 1 / 64 + 4 / (64 * 256)  # 64 weights share a scale of 8 bits, 256 scales one of 32 bits
BYTES_PER_WEIGHT: dict[
    Precision, tuple[float, float, float, int]
] = {  # a weight of an expert, a linear layer, the
    "fp32": (4, 4, 4, 4),  #                                     rest; any other number
    "bf16": (2, 2, 2, 2),
    "fp8": (1, 2, 2, 2),
    "4-bit": (NF4_BYTES, 2, 2, 2),
    "4-bit-tight": (NF4_BYTES, 1, 2, 2),  # and each row of 8 bits has a scale
}


def suitable_precisions(precisions: Sequence[Precision], device: Device | None) -> list[Precision]:
    """Without FP8 where its kernels are not, and without fp32 save on a processor. None: not known yet."""
    lacking = {"fp8": not (device and device.fp8), "fp32": not (device and device.id == "cpu")}
    return [precision for precision in precisions if not lacking.get(precision)]
