"""Int8Experts: experts in 8 bits with a scale for each row, for processors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.hardware.torch_devices import computes_in_bf16
from engine.quantization.packed_experts import PackedExperts, ScratchBuffer, frozen_parameter

WIDENED_ROWS = 24  # from so many on, widening a weight first takes less time
TINY = torch.finfo(torch.bfloat16).tiny  # a scale for rows of zeros


class Int8Experts(PackedExperts):
    """packed: a weight a byte, gate and up, then down; scales: of their rows, in that order."""

    def __init__(self, experts: Any, scratch: ScratchBuffer) -> None:
        super().__init__(experts, scratch)
        device = experts.gate_up_proj.device
        rows = self.gate_up_shape[1] + self.down_shape[1]
        self.packed = frozen_parameter((self.num_experts, self.used_values), torch.int8, device)
        self.scales = frozen_parameter((self.num_experts, rows), torch.bfloat16, device)

    def _pack_one(self, packed: dict[str, Tensor], index: int, gate_up: Tensor, down: Tensor) -> None:
        halves = []
        for weight in (gate_up.float(), down.float()):
            scales = weight.abs().amax(dim=1).div_(127).clamp_min_(TINY).bfloat16()
            codes = weight.div(scales[:, None]).round_().clamp_(-127, 127)
            halves.append((codes.to(torch.int8).flatten(), scales))
        for name, both in zip(("packed", "scales"), zip(*halves, strict=True), strict=True):
            torch.cat(both, out=packed[name][index])

    def one_expert(self, expert: int, rows: Tensor) -> Tensor:
        packed, scales, split = self.packed[expert], self.scales[expert], self.gate_up_shape[1]
        gate_up, down = packed[: self.gate_up_values], packed[self.gate_up_values :]
        wide = _product(rows.bfloat16(), gate_up.view(self.gate_up_shape[1:]), scales[:split])
        gate, up = wide.chunk(2, dim=-1)
        return _product(self.act_fn(gate) * up, down.view(self.down_shape[1:]), scales[split:])


def _product(given: Tensor, weight: Tensor, scales: Tensor) -> Tensor:
    """given: (tokens, columns) bf16; weight: (rows, columns) int8; scales: (rows,) → (tokens, rows) bf16.

    Where there is arithmetic for bf16 its own product is the faster one; elsewhere torch's, which reads the
    bytes as they are, takes an eighth of that time, and for many tokens one in fp32 (measured on AVX2).
    """
    if computes_in_bf16():
        return functional.linear(given, weight.bfloat16()) * scales
    if len(given) >= WIDENED_ROWS:
        return functional.linear(given.float(), weight.float()).mul_(scales).bfloat16()
    result: Tensor = torch.ops.aten._weight_int8pack_mm(given, weight, scales)
    return result
