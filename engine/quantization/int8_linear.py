"""Int8Linear: a linear layer in 8 bits, with a scale for each output."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.quantization.packed_experts import frozen_parameter, on_cpu
from engine.quantization.parted_work import linear_in_parts


class Int8Linear(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = frozen_parameter(tuple(linear.weight.shape), torch.int8, linear.weight.device)
        self.scale = frozen_parameter((linear.out_features,), torch.float32, linear.weight.device)
        self.bias = linear.bias
        self.before_part: Callable[[], None] = lambda: None

    def pack(self, device: torch.device, weight: Tensor) -> dict[str, Tensor]:
        weight = weight.to(device, torch.float32)
        scale = weight.abs().amax(dim=1).div_(127).clamp_min_(torch.finfo(torch.float32).tiny)
        return {"weight": (weight / scale[:, None]).round_().to(torch.int8), "scale": scale}

    def forward(self, hidden_states: Tensor) -> Tensor:
        if on_cpu(hidden_states):
            rows = linear_in_parts(hidden_states, self.weight, None, self.before_part) * self.scale
        else:
            rows = functional.linear(hidden_states, self.weight.to(hidden_states.dtype)) * self.scale
        return (rows if self.bias is None else rows + self.bias).to(hidden_states.dtype)
