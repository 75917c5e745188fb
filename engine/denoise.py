"""One canvas: the denoising loop, a generator of steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from engine import sampling

CacheT = TypeVar("CacheT", contravariant=True)


class Denoiser(Protocol[CacheT]):
    """What the loop needs of a model."""

    @property
    def device(self) -> torch.device: ...
    @property
    def canvas_tokens(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...

    def denoise(self, cache: CacheT, canvas: Tensor, soft: Tensor | None) -> Tensor:
        """canvas: (canvas,) ids; soft: (canvas, hidden) → fresh logits (canvas, vocab) fp32."""

    def soft_embedding(self, prediction: sampling.Prediction) -> Tensor:
        """The self-conditioning embedding for the next step: (canvas, hidden)."""


@dataclass(frozen=True)
class Sampler:
    """The sampler's settings. early_stop False: all steps are taken."""

    max_steps: int
    t_min: float
    t_max: float
    entropy_bound: float
    stability_threshold: int
    confidence_threshold: float
    early_stop: bool = True


@dataclass(frozen=True)
class Step:
    """What one step shows, on the CPU. draft, entropy, accepted: (canvas,); step 0 is the random canvas."""

    number: int
    draft: Tensor
    entropy: Tensor
    accepted: Tensor
    last: bool


def denoise_canvas(
    model: Denoiser[CacheT],
    cache: CacheT,
    sampler: Sampler,
    generator: torch.Generator,
    pins: Mapping[int, int],
) -> Iterator[Step]:
    """Denoise one canvas after the tokens in the cache; the last step's draft is what to commit.

    Stages: 1 start from noise; then for each step 2 decode, 3 predict, 4 accept, 5 sample and renoise,
    6 stop or go on. All draws come from the CPU generator and do not depend on what the model says.
    """
    size, vocab, device = model.canvas_tokens, model.vocab_size, model.device

    # 1. Noise, except where the writer's tokens stand.
    pinned = torch.zeros(size, dtype=torch.bool)
    pinned_ids = torch.zeros(size, dtype=torch.long)
    for position, token in pins.items():
        pinned[position], pinned_ids[position] = True, token
    noise = torch.randint(vocab, (size,), generator=generator)
    start = torch.where(pinned, pinned_ids, noise)
    ignorance = torch.full((size,), math.log(vocab)).masked_fill(pinned, 0.0)
    free_count = size - len(pins)
    yield Step(0, start, ignorance, pinned, last=free_count == 0)
    if free_count == 0:
        return

    canvas, pinned, pinned_ids = start.to(device), pinned.to(device), pinned_ids.to(device)
    soft: Tensor | None = None
    drafts: list[Tensor] = []
    for number in range(1, sampler.max_steps + 1):
        noise = torch.randint(vocab, (size,), generator=generator).to(device)
        uniform = torch.rand(size, generator=generator).to(device)

        # 2. Logits, soft-capped by the model.
        logits = model.denoise(cache, canvas, soft)

        # 3. Probabilities, entropies and draft at this step's temperature.
        steps_left = sampler.max_steps - number + 1
        tau = sampling.temperature(sampler.t_min, sampler.t_max, steps_left, sampler.max_steps)
        prediction = sampling.predict(logits, tau)
        if pins:
            prediction = sampling.pin(prediction, pinned, pinned_ids)

        # 4. Accept the positions of lowest entropy.
        accepted = sampling.accept(prediction.entropy, sampler.entropy_bound)

        # 5. Sample what was accepted, renoise the rest, write the writer's tokens back.
        rows = accepted.nonzero().squeeze(-1)
        canvas = noise
        canvas[rows] = sampling.sample(prediction.probabilities, rows, uniform[rows])
        canvas = torch.where(pinned, pinned_ids, canvas)

        # 6. Stop when the draft is stable and its free positions are certain.
        drafts = [*drafts, prediction.draft][-1 - sampler.stability_threshold :]
        mean_entropy = float(prediction.entropy.sum()) / free_count
        stop = sampler.early_stop and sampling.settled(
            drafts, sampler.stability_threshold, mean_entropy, sampler.confidence_threshold
        )
        last = stop or number == sampler.max_steps
        yield Step(number, prediction.draft.cpu(), prediction.entropy.cpu(), accepted.cpu(), last)
        if last:
            return
        soft = model.soft_embedding(prediction)
