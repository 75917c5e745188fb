"""The precisions that a model can be loaded in, with the bytes of a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class WeightBytes:
    """The bytes that one number takes."""

    expert: float
    """A weight of an expert; below 2 experts are packed, and unpacked to be used."""
    linear: int
    """A weight of another linear layer; 1: and each of its outputs has a scale of 4 bytes."""
    other: int
    """Any other weight, and whatever is computed."""


BYTES_PER_WEIGHT: dict[Precision, WeightBytes] = {
    "fp32": WeightBytes(expert=4, linear=4, other=4),
    "bf16": WeightBytes(expert=2, linear=2, other=2),
    "fp8": WeightBytes(expert=1, linear=2, other=2),
    "4-bit": WeightBytes(expert=NF4_BYTES, linear=2, other=2),
    "4-bit-tight": WeightBytes(expert=NF4_BYTES, linear=1, other=2),
}


def suitable_precisions(precisions: Sequence[Precision], device: Device | None) -> list[Precision]:
    """Without FP8 where its kernels are not, and without fp32 save on a processor. None: not known yet."""
    lacking = {"fp8": not (device and device.fp8), "fp32": not (device and device.id == "cpu")}
    return [precision for precision in precisions if not lacking.get(precision)]
