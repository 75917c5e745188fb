"""Constraints on canvases: pins, banned tokens, a text to begin from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.diffusion import sampling


@dataclass(frozen=True)
class CanvasConstraints:
    """What the writer gives one canvas."""

    pins: Mapping[int, int] = field(default_factory=dict)
    """Token ids by position."""
    banned: Collection[int] = ()
    """Ids that may not come before position banned_before, unless they are pinned there."""
    banned_before: int = 0
    start: Sequence[int] | None = None
    """(canvas,) ids to begin from."""
    renoise_share: float = 1.0
    """Of the positions of start: how many are noise at first, 0 … 1."""


class BatchConstraints:
    """The constraints of a batch of canvases, as masks and indices for all its rows at once."""

    def __init__(self, canvases: Sequence[CanvasConstraints], size: int, device: torch.device) -> None:
        """size: positions a canvas; device: where the logits lie."""
        pins, banned = [], []
        for row, canvas in enumerate(canvases):
            begins = row * size
            pins += [(begins + position, token) for position, token in canvas.pins.items()]
            positions = range(begins, begins + canvas.banned_before)
            banned += [(position, token) for position in positions for token in canvas.banned]
        rows, ids = torch.tensor(pins, dtype=torch.long).view(-1, 2).unbind(-1)
        self.pinned_ids = torch.zeros(len(canvases) * size, dtype=torch.long)
        self.pinned_ids[rows] = ids
        self.free = torch.ones_like(self.pinned_ids, dtype=torch.bool)
        self.free[rows] = False
        self.pinned_ids, self.free = self.pinned_ids.view(-1, size), self.free.view(-1, size)
        self._pins = rows.to(device), ids.to(device)
        self._banned = torch.tensor(banned, dtype=torch.long).view(-1, 2).to(device).unbind(-1)

    def write_pins(self, ids: Tensor) -> Tensor:
        """ids: (batch, canvas), on the CPU."""
        return torch.where(self.free, ids, self.pinned_ids)

    def ban(self, logits: Tensor) -> None:
        """logits: (batch · canvas, vocab), overwritten."""
        if len(self._banned[0]):
            logits[self._banned] = -math.inf

    def pin(self, prediction: sampling.Prediction) -> None:
        """Force the rows of pinned positions one-hot."""
        if len(self._pins[0]):
            sampling.pin(prediction, *self._pins)

    def mean_over_free(self, entropy: Tensor) -> Tensor:
        """entropy: (batch, canvas) → (batch,)"""
        return (entropy * self.free).sum(-1) / self.free.sum(-1)
