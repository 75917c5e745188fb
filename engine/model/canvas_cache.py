"""Keys and values of a batch of canvases behind their prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class CanvasCache:
    """One canvas after each of some prefixes. The caches are copied once and never written.

    Prefixes of different lengths stand right-aligned, their padding masked. A step writes the canvas's own
    keys and values behind them: nothing is joined or allocated anew.
    """

    def __init__(
        self,
        caches: Sequence[Any],
        layer_types: Sequence[str],
        window: int,
        tokens: int,
        check_cancelled: Callable[[], None] = lambda: None,
    ) -> None:
        """caches: one DynamicCache a canvas; window: of the sliding layers, which see the last window - 1;
        check_cancelled: is called before each layer's copy, and may raise.
        """
        self.layer_types = layer_types
        self.tokens = tokens
        lengths = [cache.get_seq_length() for cache in caches]
        device = caches[0].layers[0].keys.device
        self.positions = torch.tensor(lengths, device=device)[:, None] + torch.arange(tokens, device=device)
        seen = {
            kind: [min(n, window - 1) if "sliding" in kind else n for n in lengths] for kind in layer_types
        }
        self.masks = {kind: _mask(shown, tokens, device) for kind, shown in seen.items()}
        self.logits: Tensor | None = None
        self._check_cancelled = check_cancelled
        self._keys, self._values = (
            [
                self._joined([getattr(cache.layers[n], name) for cache in caches], seen[kind])
                for n, kind in enumerate(layer_types)
            ]
            for name in ("keys", "values")
        )

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The canvas's keys and values, (batch, heads, canvas, size), behind their prefixes'."""
        both = self._keys[layer], self._values[layer]
        for joined, new in zip(both, (keys, values), strict=True):
            joined[:, :, -self.tokens :] = new
        return both

    def narrow(self, indices: Tensor) -> None:
        """Give up all other canvases. indices: (kept,)"""
        self.positions = self.positions[indices]
        self.masks = {kind: None if mask is None else mask[indices] for kind, mask in self.masks.items()}
        for tensors in (self._keys, self._values):
            for number, tensor in enumerate(tensors):
                self._check_cancelled()
                tensors[number] = tensor[indices.to(tensor.device)]

    def _joined(self, prefixes: list[Tensor], lengths: list[int]) -> Tensor:
        """prefixes: (1, heads, at least its length, size) each → (batch, heads, longest + canvas, size)."""
        _, heads, _, size = prefixes[0].shape
        longest = max(lengths)
        joined = prefixes[0].new_zeros(len(prefixes), heads, longest + self.tokens, size)
        for row, (prefix, length) in enumerate(zip(prefixes, lengths, strict=True)):
            self._check_cancelled()
            joined[row, :, longest - length : longest] = prefix[0, :, prefix.shape[2] - length :]
        return joined


def _mask(lengths: list[int], tokens: int, device: torch.device) -> Tensor | None:
    """(batch, 1, 1, longest + tokens), False over the padding; None where there is none."""
    longest = max(lengths)
    if min(lengths) == longest:
        return None
    padding = longest - torch.tensor(lengths, device=device)
    return (torch.arange(longest + tokens, device=device) >= padding[:, None])[:, None, None]
