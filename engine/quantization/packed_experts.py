"""PackedExperts, the base of packed layers: unpack the experts that were hit, then multiply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers.integrations.moe import grouped_mm_experts_forward


@dataclass
class UnpackedExperts:
    """Stands in for the library's experts module in its grouped product, which reads these fields."""

    num_experts: int
    gate_up_proj: Tensor
    """(experts, 2 · intermediate, hidden)"""
    down_proj: Tensor
    """(experts, hidden, intermediate)"""
    act_fn: Callable[[Tensor], Tensor]
    has_gate: ClassVar[bool] = True
    has_bias: ClassVar[bool] = False
    has_post_expert_norm: ClassVar[bool] = False
    is_transposed: ClassVar[bool] = False
    _is_expert_parallel: ClassVar[bool] = False

    def _apply_gate(self, rows: Tensor) -> Tensor:
        gate, up = rows.chunk(2, dim=-1)
        return self.act_fn(gate) * up


class ScratchBuffer:
    """The one buffer on each device that all layers there unpack into; it grows to the largest."""

    def __init__(self) -> None:
        self._buffers: dict[torch.device, Tensor] = {}

    def take(self, count: int, like: Tensor) -> Tensor:
        held = self._buffers.get(like.device)
        if held is None or len(held) < count or held.dtype != like.dtype:
            held = None
            self._buffers.pop(like.device, None)  # given back before the larger one is asked for
            held = torch.empty(count, dtype=like.dtype, device=like.device)
            self._buffers[like.device] = held
        return held[:count]

    def clear(self) -> None:
        self._buffers.clear()


class PackedExperts(nn.Module):
    """The experts of one layer, each of them one row: gate and up projections, then the down projection."""

    grouped_product: Callable[..., Tensor] = staticmethod(grouped_mm_experts_forward)
    """torch does it expert by expert, and waits for the device, on cards that are not of compute capability
    9.0 or 10.x."""
    packed: nn.Parameter
    """(experts, bytes); the subclass says what they mean."""
    row_values: int
    """Of an unpacked row; what is beyond used_values is padding."""

    def __init__(self, experts: Any, scratch: ScratchBuffer) -> None:
        super().__init__()
        self.act_fn = experts.act_fn
        self.gate_up_shape, self.down_shape = experts.gate_up_proj.shape, experts.down_proj.shape
        self.num_experts = len(experts.gate_up_proj)
        self.gate_up_values = self.gate_up_shape[1:].numel()
        self.used_values = self.gate_up_values + self.down_shape[1:].numel()
        self.scratch = scratch

    def pack(self, device: torch.device, gate_up_proj: Tensor, down_proj: Tensor) -> dict[str, Tensor]:
        """This module's tensors, expert by expert: no more than one is copied or widened at a time."""
        if (gate_up_proj.shape, down_proj.shape) != (self.gate_up_shape, self.down_shape):
            raise ValueError(f"experts of shape {tuple(gate_up_proj.shape)} and {tuple(down_proj.shape)}")
        packed = {
            name: torch.zeros(held.shape, dtype=held.dtype, device=device)
            for name, held in self.named_parameters()
        }
        for index, projections in enumerate(zip(gate_up_proj, down_proj, strict=True)):
            self._pack_one(packed, index, *(projection.to(device) for projection in projections))
        return packed

    def _pack_one(self, packed: dict[str, Tensor], index: int, gate_up: Tensor, down: Tensor) -> None:
        raise NotImplementedError

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        rows, row_index = self._hit_experts(top_k_index)
        unpacked = self._unpack(rows, hidden_states)
        experts = UnpackedExperts(
            num_experts=len(unpacked),
            gate_up_proj=unpacked[:, : self.gate_up_values].view(-1, *self.gate_up_shape[1:]),
            down_proj=unpacked[:, self.gate_up_values : self.used_values].view(-1, *self.down_shape[1:]),
            act_fn=self.act_fn,
        )
        return self.grouped_product(experts, hidden_states, row_index, top_k_weights)

    def _hit_experts(self, top_k_index: Tensor) -> tuple[Tensor | None, Tensor]:
        """The experts to unpack (None for all of them), and top_k_index as indices into these.

        A device is not waited for: there the count is the most that so many tokens can hit. What was not hit
        comes last.
        """
        hit = torch.zeros(self.num_experts, dtype=torch.uint8, device=top_k_index.device)
        hit.scatter_(0, top_k_index.flatten(), 1)
        count = int(hit.sum()) if on_cpu(hit) else min(self.num_experts, top_k_index.numel())
        if count == self.num_experts:
            return None, top_k_index
        rows = hit.argsort(descending=True, stable=True)[:count]
        return rows, (hit.cumsum(0) - 1)[top_k_index]

    def _unpack(self, rows: Tensor | None, like: Tensor) -> Tensor:
        """(rows, row_values) in the type of `like`, valid until the next layer unpacks."""
        raise NotImplementedError


def frozen_parameter(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype, device=device), requires_grad=False)


def on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"
