"""PackedExperts, the base of packed layers: unpack the experts that were hit, then multiply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.integrations.moe import grouped_mm_experts_forward

from engine.hardware.torch_devices import computes_in_bf16

EXPERT_ROWS = 256  # that an expert multiplies at once: some 40 ms of a core at the 26B model's widths


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


class OneByOne(Protocol):
    """The experts of a layer, of which a processor takes one after another."""

    before_part: Callable[[], None]
    """Is called before each expert, and may raise."""

    def one_expert(self, expert: int, rows: Tensor) -> Tensor:
        """rows: (tokens, hidden) that are given to it → what it makes of them, as many."""


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
        self.before_part: Callable[[], None] = lambda: None
        self.parts = 1
        """In which a card unpacks them, one after another: more take less memory and more time."""

    def pack(self, device: torch.device, gate_up_proj: Tensor, down_proj: Tensor) -> dict[str, Tensor]:
        """This module's tensors, expert by expert: no more than one is copied or widened at a time."""
        if (gate_up_proj.shape, down_proj.shape) != (self.gate_up_shape, self.down_shape):
            raise ValueError(f"experts of shape {tuple(gate_up_proj.shape)} and {tuple(down_proj.shape)}")
        packed = {
            name: torch.zeros(held.shape, dtype=held.dtype, device=device)
            for name, held in self.named_parameters()
        }
        for index, projections in enumerate(zip(gate_up_proj, down_proj, strict=True)):
            self.before_part()
            self._pack_one(packed, index, *(projection.to(device) for projection in projections))
        return packed

    def _pack_one(self, packed: dict[str, Tensor], index: int, gate_up: Tensor, down: Tensor) -> None:
        raise NotImplementedError

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        if on_cpu(hidden_states):
            given = hidden_states if computes_in_bf16() else hidden_states.float()
            return expert_by_expert(self, given, top_k_index, top_k_weights).to(hidden_states.dtype)
        if self.parts == 1:
            rows, row_index = self._hit_experts(top_k_index)
            return self._grouped(rows, hidden_states, row_index, top_k_weights)
        result, size = torch.zeros_like(hidden_states), -(-self.num_experts // self.parts)
        for start in range(0, self.num_experts, size):
            inside = (top_k_index >= start) & (top_k_index < start + size)
            index = torch.where(inside, top_k_index - start, 0)
            shares = torch.where(inside, top_k_weights, 0)
            result += self._grouped(slice(start, start + size), hidden_states, index, shares)
        return result

    def _grouped(
        self, rows: Tensor | slice, hidden_states: Tensor, row_index: Tensor, top_k_weights: Tensor
    ) -> Tensor:
        unpacked = self._unpack(rows, hidden_states)
        gate_up, down = self._projections(unpacked)
        experts = UnpackedExperts(len(unpacked), gate_up, down, self.act_fn)
        return self.grouped_product(experts, hidden_states, row_index, top_k_weights)

    def one_expert(self, expert: int, rows: Tensor) -> Tensor:
        """It is unpacked just before it multiplies, into what the cache still holds."""
        gate_up, down = self._projections(self._unpack(slice(expert, expert + 1), rows))
        gate, up = functional.linear(rows, gate_up[0]).chunk(2, dim=-1)
        return functional.linear(self.act_fn(gate) * up, down[0])

    def _projections(self, unpacked: Tensor) -> tuple[Tensor, Tensor]:
        """Gate and up, and down, of each row."""
        gate_up = unpacked[:, : self.gate_up_values].view(-1, *self.gate_up_shape[1:])
        return gate_up, unpacked[:, self.gate_up_values : self.used_values].view(-1, *self.down_shape[1:])

    def _hit_experts(self, top_k_index: Tensor) -> tuple[Tensor | slice, Tensor]:
        """The experts to unpack, and top_k_index as indices into these: the most that so many tokens can hit,
        since the device is not waited for. What was not hit comes last.
        """
        count = min(self.num_experts, top_k_index.numel())
        if count == self.num_experts:
            return slice(None), top_k_index
        hit = torch.zeros(self.num_experts, dtype=torch.uint8, device=top_k_index.device)
        hit.scatter_(0, top_k_index.flatten(), 1)
        rows = hit.argsort(descending=True, stable=True)[:count]
        return rows, (hit.cumsum(0) - 1)[top_k_index]

    def _unpack(self, rows: Tensor | slice, like: Tensor) -> Tensor:
        """(rows, row_values) in the type of `like`, valid until the next call."""
        raise NotImplementedError


def expert_by_expert(
    experts: OneByOne, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor
) -> Tensor:
    """The grouped product on a processor: only experts that were hit are read, and none of a layer is kept
    unpacked.
    """
    chosen, top_k = top_k_index.flatten(), top_k_index.shape[1]
    counts = chosen.bincount().tolist()
    products = hidden_states.new_empty(len(chosen), hidden_states.shape[1])
    for expert, places in enumerate(torch.split(chosen.argsort(stable=True), counts)):
        for some in torch.split(places, EXPERT_ROWS) if len(places) else ():
            experts.before_part()
            products[some] = experts.one_expert(expert, hidden_states[some // top_k]).to(products.dtype)
    weighted = products * top_k_weights.reshape(-1, 1)
    return weighted.view(-1, top_k, weighted.shape[1]).sum(dim=1)


def frozen_parameter(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype, device=device), requires_grad=False)


def on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"
