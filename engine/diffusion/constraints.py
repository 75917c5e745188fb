"""Constraints on canvases: pins and banned tokens."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.diffusion import sampling


@dataclass(frozen=True)
class CanvasConstraints:
    """What one canvas has to keep to."""

    pins: Mapping[int, int] = field(default_factory=dict)
    """Token ids by position."""
    banned: Collection[int] = ()
    """Ids that may not come before position banned_before, unless they are pinned there."""
    banned_before: int = 0
    refused: Mapping[int, int] = field(default_factory=dict)
    """By position: the one id that may not come there."""


class BatchConstraints:
    """The constraints of a batch of canvases, as masks and indices for all of them at once.

    Only the free positions are predicted: a row of logits each, in the order of the canvases.
    """

    def __init__(self, canvases: Sequence[CanvasConstraints], size: int, device: torch.device) -> None:
        """size: positions a canvas; device: where the logits lie."""
        pins, banned = [], []
        for canvas, given in enumerate(canvases):
            begins = canvas * size
            pins += [(begins + position, token) for position, token in given.pins.items()]
            positions = (begins + n for n in range(given.banned_before) if n not in given.pins)
            banned += [(position, token) for position in positions for token in given.banned]
            banned += [(begins + position, token) for position, token in given.refused.items()]
        places, ids = torch.tensor(pins, dtype=torch.long).view(-1, 2).unbind(-1)
        pinned_ids = torch.zeros(len(canvases) * size, dtype=torch.long)
        pinned_ids[places] = ids
        free = torch.ones_like(pinned_ids, dtype=torch.bool)
        free[places] = False
        self.pinned_ids, self.free = pinned_ids.view(-1, size), free.view(-1, size)
        self.row_of = (free.cumsum(-1) - 1).view(-1, size)
        """(batch, canvas): the row of logits of each free position."""
        self._places = free.nonzero().squeeze(-1)
        self.places = None if len(pins) == 0 else self._places.to(device)
        """(rows,): the position of each row, counted through the batch; None where all are free."""
        banned_places, banned_ids = torch.tensor(banned, dtype=torch.long).view(-1, 2).unbind(-1)
        self._banned = self.row_of.flatten()[banned_places].to(device), banned_ids.to(device)

    def write_pins(self, ids: Tensor) -> Tensor:
        """ids: (batch, canvas), on the CPU."""
        return torch.where(self.free, ids, self.pinned_ids)

    def ban(self, logits: Tensor) -> None:
        """logits: (rows, vocab), overwritten."""
        if len(self._banned[0]):
            logits[self._banned] = -math.inf

    def whole(self, prediction: sampling.Prediction) -> tuple[Tensor, Tensor, Tensor]:
        """Draft, entropy and the draft's probability, (batch, canvas) each, on the CPU: pins are certain."""
        known = torch.stack((prediction.draft, prediction.entropy, prediction.top)).cpu()
        whole = torch.stack((self.pinned_ids, torch.zeros_like(self.free), ~self.free)).float().flatten(1)
        whole[:, self._places] = known
        draft, entropy, top = whole.view(3, *self.free.shape)
        return draft.long(), entropy, top

    def mean_over_free(self, entropy: Tensor) -> Tensor:
        """entropy: (batch, canvas) → (batch,)"""
        return (entropy * self.free).sum(-1) / self.free.sum(-1)
