"""Nf4Experts: experts in 4 bits, NF4 with double quantization as bitsandbytes does it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.quantization.packed_experts import PackedExperts, ScratchBuffer, frozen_parameter, on_cpu

BLOCK_VALUES = 64  # values that share a scale
SCALES_PER_PEAK = 256  # scales that share a peak: bitsandbytes' own number
# There bitsandbytes needs gigabytes for a layer, or cannot write into a buffer.
UNPACKED_IN_PARTS = ("mps", "xpu")
PART_EXPERTS = 8  # that are unpacked at once there


class Nf4Experts(PackedExperts):
    """packed: two values a byte, the first one in the high half, zeros up to a whole block; scales: a code
    for each block. A block's scale is scale_codes[code] · its peak + its expert's mean.
    """

    def __init__(self, experts: Any, scratch: ScratchBuffer) -> None:
        super().__init__(experts, scratch)
        self.blocks = -(-self.used_values // BLOCK_VALUES)
        self.row_values = self.blocks * BLOCK_VALUES
        peaks = -(-self.blocks // SCALES_PER_PEAK)
        device = experts.gate_up_proj.device
        self.packed = frozen_parameter((self.num_experts, self.row_values // 2), torch.uint8, device)
        self.scales = frozen_parameter((self.num_experts, self.blocks), torch.uint8, device)
        self.scale_peaks = frozen_parameter((self.num_experts, peaks), torch.float32, device)
        self.scale_means = frozen_parameter((self.num_experts, 1), torch.float32, device)
        self.scale_codes = frozen_parameter((256,), torch.float32, device)

    def _pack_one(self, packed: dict[str, Tensor], index: int, gate_up: Tensor, down: Tensor) -> None:
        from bitsandbytes.functional import quantize_4bit

        row = torch.cat([gate_up.flatten(), down.flatten()])
        row = functional.pad(row, (0, self.row_values - self.used_values))
        codes, state = quantize_4bit(row, blocksize=BLOCK_VALUES, compress_statistics=True, quant_type="nf4")
        packed["packed"][index] = codes.flatten()
        packed["scales"][index] = state.absmax
        packed["scale_peaks"][index] = state.state2.absmax
        packed["scale_means"][index] = state.offset
        packed["scale_codes"].copy_(state.state2.code)

    def _unpack(self, rows: Tensor | slice, like: Tensor) -> Tensor:
        held = (self.packed, self.scales, self.scale_peaks, self.scale_means)
        packed, codes, peaks, means = (part[rows] for part in held)
        if lacking := -self.blocks % SCALES_PER_PEAK:  # the kernel takes all rows for one
            codes = functional.pad(codes, (0, lacking))
        kernels = torch.ops.bitsandbytes
        scales = kernels.dequantize_blockwise(codes, peaks, self.scale_codes, SCALES_PER_PEAK, torch.float32)
        scales = scales.add_(means)[:, : self.blocks].contiguous()
        shape = (len(packed), self.row_values)
        if on_cpu(like):  # bitsandbytes cannot write into a given buffer there
            unpacked: Tensor = kernels.dequantize_4bit(packed, scales, BLOCK_VALUES, "nf4", shape, like.dtype)
            return unpacked
        unpacked = self.scratch.take(shape[0] * shape[1], like).view(shape)
        if like.device.type not in UNPACKED_IN_PARTS:
            kernels.dequantize_4bit.out(packed, scales, BLOCK_VALUES, "nf4", shape, like.dtype, out=unpacked)
            return unpacked
        for into, *part in zip(
            *(tensor.split(PART_EXPERTS) for tensor in (unpacked, packed, scales)), strict=True
        ):
            into.copy_(kernels.dequantize_4bit(*part, BLOCK_VALUES, "nf4", into.shape, like.dtype))
        return unpacked
