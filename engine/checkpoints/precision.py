"""The precisions that a model can be loaded in, with the bytes of a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.protocol.events import Device

Precision = Literal["bf16", "fp32", "fp8", "4-bit", "4-bit-tight", "int8", "int4"]
"""fp8, 4-bit: the experts in FP8 or NF4, the rest in bf16. 4-bit-tight: of that rest, the linear layers in 8
bits. int8, int4: the experts in the forms that torch's products for processors take."""

LOADABLE_PRECISIONS: tuple[Precision, ...] = ("bf16", "int8", "int4", "fp8", "4-bit", "4-bit-tight")
"""For some device, and of each device's the largest first."""
ON_PROCESSORS: tuple[Precision, ...] = ("fp32", "int8", "int4")
"""There alone."""
ON_CARDS: tuple[Precision, ...] = ("fp8", "4-bit", "4-bit-tight")
"""Worth choosing there alone."""
PACKED_PRECISIONS: tuple[Precision, ...] = ("fp8", "4-bit", "4-bit-tight", "int8", "int4")
"""While they are loaded; the packed copy is kept, and takes about as many bytes as the weights."""
STREAMED_PRECISIONS: tuple[Precision, ...] = ("4-bit", "4-bit-tight")
"""Whose experts can lie in main memory, for a CUDA card."""
QUANT_METHOD = "mezzotint"
"""How that was done, in the copy's configuration."""

NF4_BYTES = 1 / 2 + 1 / 64 + 4 / (64 * 256)  # 64 weights share a scale of 8 bits, 256 scales one of 32 bits
INT4_BYTES = 1 / 2 + 4 / 64  # 64 weights share a scale and a zero of 16 bits each


@dataclass(frozen=True)
class WeightBytes:
    """The bytes that one number takes."""

    expert: float
    """A weight of an expert; below 2 experts are packed, and unpacked to be used."""
    linear: int
    """A weight of another linear layer; 1: and each of its outputs has a scale of 4 bytes."""
    other: int
    """Any other weight."""
    computed: int
    """A number that is computed, at the most."""


BYTES_PER_WEIGHT: dict[Precision, WeightBytes] = {
    "fp32": WeightBytes(expert=4, linear=4, other=4, computed=4),
    "bf16": WeightBytes(expert=2, linear=2, other=2, computed=2),
    "fp8": WeightBytes(expert=1, linear=2, other=2, computed=2),
    "4-bit": WeightBytes(expert=NF4_BYTES, linear=2, other=2, computed=2),
    "4-bit-tight": WeightBytes(expert=NF4_BYTES, linear=1, other=2, computed=2),
    "int8": WeightBytes(expert=1, linear=2, other=2, computed=4),
    "int4": WeightBytes(expert=INT4_BYTES, linear=2, other=2, computed=4),
}


def suitable_precisions(precisions: Sequence[Precision], device: Device | None) -> list[Precision]:
    """Those of a processor or of cards, without FP8 where its kernels are not. None: not known yet."""
    lacking = ON_CARDS if device and device.id == "cpu" else ON_PROCESSORS
    no_fp8 = not (device and device.fp8)
    return [each for each in precisions if each not in lacking and not (each == "fp8" and no_fp8)]
