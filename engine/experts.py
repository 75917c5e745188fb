"""Experts in 4 bits or FP8, linear layers in 8: how they are packed, and what they compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.integrations.moe import grouped_mm_experts_forward

BLOCK = 64  # values that share a scale
SCALES = 256  # scales that share a peak: bitsandbytes' own number
FP8 = torch.float8_e4m3fn
IN_PARTS = ("mps", "xpu")  # there bitsandbytes needs gigabytes for a layer, or cannot write into a buffer
PART = 8  # experts


@dataclass
class _Unpacked:
    """What the library's grouped product wants to know of experts."""

    num_experts: int
    gate_up_proj: Tensor  # (experts, 2 · width, hidden)
    down_proj: Tensor  # (experts, hidden, width)
    act_fn: Callable[[Tensor], Tensor]
    has_gate: ClassVar[bool] = True
    has_bias: ClassVar[bool] = False
    has_post_expert_norm: ClassVar[bool] = False
    is_transposed: ClassVar[bool] = False
    _is_expert_parallel: ClassVar[bool] = False

    def _apply_gate(self, rows: Tensor) -> Tensor:
        gate, up = rows.chunk(2, dim=-1)
        return self.act_fn(gate) * up


class Scratch:
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
    """The experts of one layer, each of them one row: gate and up projections, then the down projection.

    packed: (experts, bytes); what it means is the subclasses' matter. product: torch does it expert by
    expert, and waits for the device, on cards that are not of compute capability 9.0 or 10.x.
    """

    product: Callable[..., Tensor] = staticmethod(grouped_mm_experts_forward)
    packed: nn.Parameter
    row_values: int

    def __init__(self, experts: Any, scratch: Scratch) -> None:
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
        rows, places = self._hit(top_k_index)
        unpacked = self._unpack(rows, hidden_states)
        experts = _Unpacked(
            num_experts=len(unpacked),
            gate_up_proj=unpacked[:, : self.gate_up_values].view(-1, *self.gate_up_shape[1:]),
            down_proj=unpacked[:, self.gate_up_values : self.used_values].view(-1, *self.down_shape[1:]),
            act_fn=self.act_fn,
        )
        return self.product(experts, hidden_states, places, top_k_weights)

    def _hit(self, top_k_index: Tensor) -> tuple[Tensor | None, Tensor]:
        """The experts to unpack, None for all of them, and where among these each token's experts are.

        A device is not waited for here: there the count is the most that so many tokens can hit. What was
        not hit comes last.
        """
        hit = torch.zeros(self.num_experts, dtype=torch.uint8, device=top_k_index.device)
        hit.scatter_(0, top_k_index.flatten(), 1)
        count = int(hit.sum()) if _on_host(hit) else min(self.num_experts, top_k_index.numel())
        if count == self.num_experts:
            return None, top_k_index
        rows = hit.argsort(descending=True, stable=True)[:count]
        return rows, (hit.cumsum(0) - 1)[top_k_index]

    def _unpack(self, rows: Tensor | None, like: Tensor) -> Tensor:
        """(rows, row_values) in the type of `like`, valid until the next layer unpacks."""
        raise NotImplementedError


class Nf4Experts(PackedExperts):
    """In NF4 with double-quantised scales, after bitsandbytes; each row has zeros up to a whole block.

    packed: two values a byte, the first one in the high half; scales: a code for each block of values;
    a block's scale is scale_codes[code] · its peak + its expert's mean.
    """

    def __init__(self, experts: Any, scratch: Scratch) -> None:
        super().__init__(experts, scratch)
        self.blocks = -(-self.used_values // BLOCK)
        self.row_values = self.blocks * BLOCK
        peaks = -(-self.blocks // SCALES)
        device = experts.gate_up_proj.device
        self.packed = _frozen((self.num_experts, self.row_values // 2), torch.uint8, device)
        self.scales = _frozen((self.num_experts, self.blocks), torch.uint8, device)
        self.scale_peaks = _frozen((self.num_experts, peaks), torch.float32, device)
        self.scale_means = _frozen((self.num_experts, 1), torch.float32, device)
        self.scale_codes = _frozen((256,), torch.float32, device)

    def _pack_one(self, packed: dict[str, Tensor], index: int, gate_up: Tensor, down: Tensor) -> None:
        from bitsandbytes.functional import quantize_4bit

        row = torch.cat([gate_up.flatten(), down.flatten()])
        row = functional.pad(row, (0, self.row_values - self.used_values))
        codes, state = quantize_4bit(row, blocksize=BLOCK, compress_statistics=True, quant_type="nf4")
        packed["packed"][index] = codes.flatten()
        packed["scales"][index] = state.absmax
        packed["scale_peaks"][index] = state.state2.absmax
        packed["scale_means"][index] = state.offset
        packed["scale_codes"].copy_(state.state2.code)

    def _unpack(self, rows: Tensor | None, like: Tensor) -> Tensor:
        held = (self.packed, self.scales, self.scale_peaks, self.scale_means)
        packed, codes, peaks, means = held if rows is None else (part.index_select(0, rows) for part in held)
        if lacking := -self.blocks % SCALES:  # the kernel takes all rows for one
            codes = functional.pad(codes, (0, lacking))
        kernels = torch.ops.bitsandbytes
        scales = kernels.dequantize_blockwise(codes, peaks, self.scale_codes, SCALES, torch.float32)
        scales = scales.add_(means)[:, : self.blocks].contiguous()
        shape = (len(packed), self.row_values)
        if _on_host(like):  # bitsandbytes cannot write into a given buffer there
            unpacked: Tensor = kernels.dequantize_4bit(packed, scales, BLOCK, "nf4", shape, like.dtype)
            return unpacked
        unpacked = self.scratch.take(shape[0] * shape[1], like).view(shape)
        if like.device.type not in IN_PARTS:
            kernels.dequantize_4bit.out(packed, scales, BLOCK, "nf4", shape, like.dtype, out=unpacked)
            return unpacked
        for into, *part in zip(*(tensor.split(PART) for tensor in (unpacked, packed, scales)), strict=True):
            into.copy_(kernels.dequantize_4bit(*part, BLOCK, "nf4", into.shape, like.dtype))
        return unpacked


class Fp8Experts(PackedExperts):
    """In FP8, which keeps three bits behind a value's first one, down to a 28,000th of the largest: one scale
    is enough for a projection. The bytes are kept as numbers that no change of a model's type touches.

    scales: (experts, 2), of gate and up, and of down.
    """

    def __init__(self, experts: Any, scratch: Scratch) -> None:
        super().__init__(experts, scratch)
        self.row_values = self.used_values
        device = experts.gate_up_proj.device
        self.packed = _frozen((self.num_experts, self.row_values), torch.uint8, device)
        self.scales = _frozen((self.num_experts, 2), torch.float32, device)

    def _pack_one(self, packed: dict[str, Tensor], index: int, gate_up: Tensor, down: Tensor) -> None:
        parts = []
        for place, values in enumerate((gate_up.float(), down.float())):
            scale = values.abs().amax().div_(torch.finfo(FP8).max).clamp_min_(torch.finfo(values.dtype).tiny)
            parts.append((values / scale).to(FP8).flatten())
            packed["scales"][index, place] = scale
        packed["packed"][index] = torch.cat(parts).view(torch.uint8)

    def _unpack(self, rows: Tensor | None, like: Tensor) -> Tensor:
        held = (self.packed, self.scales)
        packed, scales = held if rows is None else (part.index_select(0, rows) for part in held)
        scales = scales.to(like.dtype)  # else a processor widens all that it multiplies
        unpacked = self.scratch.take(packed.numel(), like).view(packed.shape).copy_(packed.view(FP8))
        unpacked[:, : self.gate_up_values].mul_(scales[:, :1])
        unpacked[:, self.gate_up_values :].mul_(scales[:, 1:])
        return unpacked


class PackedLinear(nn.Module):
    """A linear layer in 8 bits, with a scale for each output."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = _frozen(tuple(linear.weight.shape), torch.int8, linear.weight.device)
        self.scale = _frozen((linear.out_features,), torch.float32, linear.weight.device)
        self.bias = linear.bias

    def pack(self, device: torch.device, weight: Tensor) -> dict[str, Tensor]:
        weight = weight.to(device, torch.float32)
        scale = weight.abs().amax(dim=1).div_(127).clamp_min_(torch.finfo(torch.float32).tiny)
        return {"weight": (weight / scale[:, None]).round_().to(torch.int8), "scale": scale}

    def forward(self, hidden_states: Tensor) -> Tensor:
        rows = functional.linear(hidden_states, self.weight.to(hidden_states.dtype)) * self.scale
        return (rows if self.bias is None else rows + self.bias).to(hidden_states.dtype)


def _frozen(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype, device=device), requires_grad=False)


def _on_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"
