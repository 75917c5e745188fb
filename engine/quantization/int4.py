"""Int4Experts: experts in 4 bits, in the form that torch's own product for processors takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.quantization.packed_experts import PackedExperts, ScratchBuffer, frozen_parameter

LEVELS, MIDDLE = 15, 8  # a weight is (code − 8) · scale + zero, with codes 0 … 15
ROWS, COLUMNS = 16, 32  # the product takes multiples of these


class Int4Experts(PackedExperts):
    """packed: two codes a byte, in an order that depends on the processor's vector units; scales: for some
    neighbours of a row, their scale and zero. Both hold gate and up, then down.
    """

    def __init__(self, experts: Any, scratch: ScratchBuffer) -> None:
        super().__init__(experts, scratch)
        self._gate_up, self._down = Int4Matrix(*self.gate_up_shape[1:]), Int4Matrix(*self.down_shape[1:])
        device = experts.gate_up_proj.device
        codes = self._gate_up.packed_bytes + self._down.packed_bytes
        scales = self._gate_up.scale_count + self._down.scale_count
        self.packed = frozen_parameter((self.num_experts, codes), torch.uint8, device)
        self.scales = frozen_parameter((self.num_experts, scales), torch.bfloat16, device)

    def _pack_one(self, packed: dict[str, Tensor], index: int, gate_up: Tensor, down: Tensor) -> None:
        parts = self._gate_up.pack(gate_up), self._down.pack(down)
        for name, both in zip(("packed", "scales"), zip(*parts, strict=True), strict=True):
            torch.cat(both, out=packed[name][index])

    def one_expert(self, expert: int, rows: Tensor) -> Tensor:
        packed, scales = self.packed[expert], self.scales[expert]
        codes, count = self._gate_up.packed_bytes, self._gate_up.scale_count
        gate, up = self._gate_up.product(rows.bfloat16(), packed[:codes], scales[:count]).chunk(2, dim=-1)
        return self._down.product(self.act_fn(gate) * up, packed[codes:], scales[count:])


@dataclass(frozen=True)
class Int4Matrix:
    """A matrix of so many rows and columns in torch's 4 bits."""

    rows: int
    columns: int

    @property
    def _padded(self) -> tuple[int, int]:
        return -(-self.rows // ROWS) * ROWS, -(-self.columns // COLUMNS) * COLUMNS

    @property
    def _group(self) -> int:
        """Neighbours in a row that share a scale and a zero."""
        return 64 if self._padded[1] % 64 == 0 else 32

    @property
    def packed_bytes(self) -> int:
        rows, columns = self._padded
        return rows * columns // 2

    @property
    def scale_count(self) -> int:
        rows, columns = self._padded
        return 2 * rows * columns // self._group

    def pack(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(packed_bytes,) uint8 and (scale_count,) bf16."""
        rows, columns = self._padded
        padded = functional.pad(weight.float(), (0, columns - self.columns, 0, rows - self.rows))
        groups = padded.view(rows, -1, self._group)
        low, high = groups.aminmax(dim=-1)
        scales = high.sub_(low).div_(LEVELS).clamp_min_(torch.finfo(torch.bfloat16).tiny).bfloat16()
        zeros = low.add_(scales, alpha=MIDDLE).bfloat16()
        codes = groups.sub_(zeros[..., None]).div_(scales[..., None]).round_().add_(MIDDLE)
        codes = codes.clamp_(0, LEVELS).to(torch.int32).view(rows, columns)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        return packed.flatten(), torch.stack([scales, zeros], dim=-1).transpose(0, 1).flatten()

    def product(self, given: Tensor, packed: Tensor, scales: Tensor) -> Tensor:
        """given: (tokens, columns) bf16 → (tokens, rows) bf16."""
        rows, columns = self._padded
        if columns > self.columns:
            given = functional.pad(given, (0, columns - self.columns))
        result: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            given.contiguous(), packed.view(rows, columns // 2), self._group, scales.view(-1, rows, 2)
        )
        return result[:, : self.rows]
