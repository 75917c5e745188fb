"""Our draws for a peer's loop: what it asks of torch's random functions comes from one generator a canvas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor

CLOSE = 1e-5
_randint = torch.randint


class Draws:
    """For each canvas of a batch: its first noise, then at each step noise and one number a position.

    A peer asks for sampled ids first (multinomial) and then for noise (randint), at its last step too, where
    ours draws nothing. Ids are drawn by inverse CDF in fp64, the likeliest first.
    steps: so many were taken; close, (batch, canvas): where the last draw lay within CLOSE of another id.
    """

    def __init__(self, seeds: Sequence[int], size: int, vocab: int) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._size, self._vocab = size, vocab
        self._before_step: list[Tensor] = []
        self._noise: Tensor | None = None
        self.steps = 0
        self.close = torch.zeros(len(seeds), size, dtype=torch.bool)

    @contextmanager
    def instead_of_torch(self) -> Iterator[None]:
        with (
            patch.multiple(torch, randint=self.randint, multinomial=self.multinomial),
            patch.object(torch.compiler, "cudagraph_mark_step_begin"),  # would load the compiler
        ):
            yield

    def randint(self, *_arguments: object, **_named: object) -> Tensor:
        if self._noise is not None:
            noise, self._noise = self._noise, None
            return noise
        for generator, state in zip(self._generators, self._before_step, strict=False):
            generator.set_state(state)
        return self._all(self._vocab)

    def multinomial(self, probabilities: Tensor, *_arguments: object, **_named: object) -> Tensor:
        """probabilities: (batch · canvas, vocab) → (batch · canvas, 1)"""
        self.steps += 1
        self._before_step = [generator.get_state() for generator in self._generators]
        self._noise = self._all(self._vocab)
        uniform = self._all(2**24).double().flatten()[:, None] / 2**24
        exact = probabilities.double() / probabilities.double().sum(-1, keepdim=True)
        draft = exact.argmax(-1, keepdim=True)
        top = exact.gather(-1, draft)
        rest = exact.scatter(-1, draft, 0.0).cumsum(-1)
        beyond = torch.searchsorted(rest, uniform - top, right=True).clamp_(max=self._vocab - 1)
        nearest = torch.minimum((uniform - top).abs(), (uniform - top - rest).abs().amin(-1, keepdim=True))
        self.close = (nearest < CLOSE).view(-1, self._size)
        return torch.where(uniform < top, draft, beyond)

    def _all(self, high: int) -> Tensor:
        return torch.stack([_randint(high, (self._size,), generator=each) for each in self._generators])
