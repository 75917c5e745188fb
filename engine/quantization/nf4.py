"""Nf4Experts: experts in 4 bits, NF4 with double quantization as bitsandbytes does it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.checkpoints.memory_estimate import row_chunks
from engine.quantization.packed_experts import PackedExperts, ScratchBuffer, frozen_parameter, on_cpu

BLOCK_VALUES = 64  # values that share a scale
SCALES_PER_PEAK = 256  # scales that share a peak: bitsandbytes' own number
# There bitsandbytes needs gigabytes for a layer, or cannot write into a buffer.
UNPACKED_IN_PARTS = ("mps", "xpu")
CACHE_BYTES = 2**19  # of values in fp32 that are packed at once
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
        from bitsandbytes.functional import quantize_blockwise

        row = torch.cat([gate_up.flatten(), down.flatten()])
        row = functional.pad(row, (0, self.row_values - self.used_values))
        codes, peaks = quantize(row)
        mean = peaks.mean()
        scales, state = quantize_blockwise(peaks - mean, blocksize=SCALES_PER_PEAK)
        packed["packed"][index] = codes
        packed["scales"][index] = scales
        packed["scale_peaks"][index] = state.absmax
        packed["scale_means"][index] = mean
        packed["scale_codes"].copy_(state.code)

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


def quantize(values: Tensor) -> tuple[Tensor, Tensor]:
    """values: whole blocks → (values / 2,) uint8, two codes a byte, and (blocks,) fp32, the largest of each.

    bitsandbytes' own codes. On a processor it searches each value's place among the 15 borders of the codes;
    to compare with each of them, as many values at a time as the cache holds, takes half that time.
    """
    if not on_cpu(values):
        packed, peaks = torch.ops.bitsandbytes.quantize_4bit(values, BLOCK_VALUES, "nf4", torch.uint8)
        return packed.flatten(), peaks
    from bitsandbytes.functional import get_4bit_type

    levels: Tensor = get_4bit_type("nf4", device=values.device)  # type: ignore[no-untyped-call]
    borders = ((levels[:-1] + levels[1:]) / 2).tolist()
    blocks = values.float().view(-1, BLOCK_VALUES)
    peaks = blocks.abs().amax(dim=-1)
    codes = torch.empty(blocks.shape, dtype=torch.uint8)
    for part in row_chunks(len(blocks), 4 * BLOCK_VALUES, CACHE_BYTES):
        scaled = (blocks[part] * (1.0 / peaks[part].clamp(min=1e-38))[:, None]).clamp_(-1, 1)
        code = codes[part].fill_(len(borders))
        for border in borders:
            code.sub_((scaled <= border).view(torch.uint8))
    pairs = codes.view(-1, 2)
    return (pairs[:, 0] << 4) | pairs[:, 1], peaks
