"""Which device each layer of a model lies on."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

_LAYER = re.compile(r"\.layers\.(\d+)(?:\.|$)")
_EXPERTS = re.compile(r"\.experts(?:\.|$)")
MAIN_MEMORY = torch.device("cpu")
_ENTERED = re.compile(r"\.(?:decoder|language_model)\.(?:layers\.\d+|norm)$")


class DeviceMap:
    def __init__(
        self,
        devices: Sequence[torch.device],
        layers: Sequence[int] = (),
        streamed: Collection[int] = (),
    ) -> None:
        """layers: how many each device has; none needs to be told of one device. streamed: layers whose
        experts lie in main memory.
        """
        self.first = devices[0]
        self._devices = devices
        self._ends = list(accumulate(layers))
        self.streamed = sorted(streamed)

    def device_of(self, path: str) -> torch.device:
        """Where that lies. path: of a module or a parameter in the model."""
        layer = _LAYER.search(path)
        streamed = layer and int(layer[1]) in self.streamed and _EXPERTS.search(path)
        return MAIN_MEMORY if streamed else self.computes_on(path)

    def computes_on(self, path: str) -> torch.device:
        layer = _LAYER.search(path)
        return self._devices[bisect_right(self._ends, int(layer[1]))] if layer else self.first

    def by_path(self, model: nn.Module) -> dict[str, torch.device]:
        """As the library takes it: by the beginnings of paths."""
        told = (_ENTERED, _EXPERTS) if self.streamed else (_ENTERED,)
        paths = [path for path, _ in model.named_modules() if any(each.search(path) for each in told)]
        elsewhere = {path: self.device_of(path) for path in paths if self.device_of(path) != self.first}
        return {"": self.first} | elsewhere

    def move(self, model: nn.Module) -> None:
        """In place. What comes to a layer from another device is brought over."""
        for path, module in model.named_modules():
            device = self.device_of(path)
            module._apply(partial(_on, device=device), recurse=False)
            if len(self._devices) > 1 and _ENTERED.search(path):
                module.register_forward_pre_hook(partial(_bring, device=device), with_kwargs=True)


CPU_ONLY = DeviceMap([MAIN_MEMORY])


def _bring(module: nn.Module, args: Any, kwargs: Any, device: torch.device) -> Any:  # noqa: ARG001
    return _on(args, device), {name: _on(value, device) for name, value in kwargs.items()}


def _on(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return tuple(_on(each, device) for each in value) if isinstance(value, tuple) else value
