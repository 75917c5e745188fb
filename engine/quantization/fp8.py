"""Fp8Experts: experts in FP8 (e4m3), one scale for each projection."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.quantization.packed_experts import PackedExperts, ScratchBuffer, frozen_parameter

FP8 = torch.float8_e4m3fn


class Fp8Experts(PackedExperts):
    """packed: a value a byte, as uint8, which no change of a model's type touches; scales: (experts, 2), of
    gate and up, and of down. One is enough for a projection: FP8 keeps three bits behind a value's first one,
    down to a 28,000th of the largest.
    """

    def __init__(self, experts: Any, scratch: ScratchBuffer) -> None:
        super().__init__(experts, scratch)
        self.row_values = self.used_values
        device = experts.gate_up_proj.device
        self.packed = frozen_parameter((self.num_experts, self.row_values), torch.uint8, device)
        self.scales = frozen_parameter((self.num_experts, 2), torch.float32, device)

    def _pack_one(self, packed: dict[str, Tensor], index: int, gate_up: Tensor, down: Tensor) -> None:
        parts = []
        for place, values in enumerate((gate_up.float(), down.float())):
            scale = values.abs().amax().div_(torch.finfo(FP8).max).clamp_min_(torch.finfo(values.dtype).tiny)
            parts.append((values / scale).to(FP8).flatten())
            packed["scales"][index, place] = scale
        packed["packed"][index] = torch.cat(parts).view(torch.uint8)

    def _unpack(self, rows: Tensor | slice, like: Tensor) -> Tensor:
        packed, scales = self.packed[rows], self.scales[rows]
        scales = scales.to(like.dtype)  # else a processor widens all that it multiplies
        unpacked = self.scratch.take(packed.numel(), like).view(packed.shape).copy_(packed.view(FP8))
        unpacked[:, : self.gate_up_values].mul_(scales[:, :1])
        unpacked[:, self.gate_up_values :].mul_(scales[:, 1:])
        return unpacked
