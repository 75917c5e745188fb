"""The denoising loop over a batch of canvases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from engine.diffusion import sampling
from engine.diffusion.constraints import BatchConstraints, CanvasConstraints
from engine.model.sampler_config import SamplerConfig
from engine.protocol.errors import FaultError

CERTAIN = 1e-5  # nats: then all other tokens together have a probability below 1e-6
UNIFORM_BITS = 24  # as many as fp32 holds exactly


class CanvasBatch(Protocol):
    """The canvases of a batch. See engine.model.canvas_cache."""

    def narrow(self, indices: Tensor) -> None: ...


BatchT = TypeVar("BatchT", bound=CanvasBatch, contravariant=True)


class Denoiser(Protocol[BatchT]):
    """What the loop needs of a model."""

    @property
    def device(self) -> torch.device: ...
    @property
    def canvas_tokens(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...

    def denoise(self, canvases: BatchT, ids: Tensor, soft: Tensor | None) -> Tensor:
        """ids: (batch, canvas); soft: (batch · canvas, hidden) → (batch · canvas, vocab) fp32, the caller's
        until the next call.
        """

    def soft_embedding(self, draft: Tensor, spread: Tensor, probabilities: Tensor, rows: Tensor) -> Tensor:
        """The self-conditioning embedding: that of the draft, (batch · canvas,) ids, save that its rows
        `spread` have the mean under probabilities[rows] → (batch · canvas, hidden).
        """


@dataclass(frozen=True)
class DenoisingStep:
    """What one step shows of one canvas of the batch, on the CPU. draft, entropy, accepted: (canvas,);
    step 0 is the canvas that the model sees first.
    """

    canvas: int
    number: int
    draft: Tensor
    entropy: Tensor
    accepted: Tensor
    last: bool


def denoise_canvases(
    model: Denoiser[BatchT],
    canvases: BatchT,
    sampler: SamplerConfig,
    generators: Sequence[torch.Generator],
    constraints: Sequence[CanvasConstraints],
) -> Iterator[DenoisingStep]:
    """Denoise one canvas for each generator; its last step holds the draft to commit, then it costs nothing.

    Stages: 1 start from noise; then for each step 2 decode, 3 predict, 4 accept, 5 stop or go on, 6 sample
    and renoise. All draws come from the CPU generators and do not depend on what the model says. What is as
    large as the vocabulary stays on the device: each step takes ids in and three numbers a position out.
    """
    size, vocab, device = model.canvas_tokens, model.vocab_size, model.device
    stability, confidence = sampler.stability_threshold, sampler.confidence_threshold
    batch = _Batch(canvases, generators, constraints, size, device)

    # 1. Noise, or the text to begin from, except where the writer's tokens stand.
    starts = [_start(*each, size, vocab) for each in zip(constraints, generators, strict=True)]
    ids, free = batch.held.write_pins(torch.stack(starts)), batch.held.free
    ignorance, last = free * math.log(vocab), ~free.any(-1)
    for canvas in batch.going:
        yield DenoisingStep(canvas, 0, ids[canvas], ignorance[canvas], ~free[canvas], bool(last[canvas]))
    staying = batch.end(last)

    inward, soft = ids[staying].flatten().to(device), None
    drafts: list[Tensor] = []
    for number in range(1, sampler.max_steps + 1):
        if not batch.going:
            return

        # 2. Logits, soft-capped by the model.
        logits = model.denoise(canvases, inward.view(-1, size), soft)
        batch.held.ban(logits)

        # 3. Probabilities, entropies and draft at this step's temperature.
        steps_left = sampler.max_steps - number + 1
        tau = sampling.temperature(sampler.t_min, sampler.t_max, steps_left, sampler.max_steps)
        prediction = sampling.predict(logits, tau)
        batch.held.pin(prediction)
        outward = torch.stack((prediction.draft, prediction.entropy, prediction.top)).cpu().view(3, -1, size)
        draft, entropy = outward[0].long(), outward[1]
        _refuse_nan(entropy)

        # 4. Accept the positions of lowest entropy.
        accepted = sampling.accept(entropy, sampler.entropy_bound)

        # 5. Stop where the draft is stable and its free positions are certain.
        drafts = [*drafts, draft][-1 - stability :]
        settled = sampling.settled(drafts, stability, batch.held.mean_over_free(entropy), confidence)
        last = settled & sampler.early_stop | (number == sampler.max_steps)
        for row, canvas in enumerate(batch.going):
            yield DenoisingStep(canvas, number, draft[row], entropy[row], accepted[row], bool(last[row]))
        staying = batch.end(last)
        drafts = [earlier[staying] for earlier in drafts]

        # 6. Sample what was accepted, renoise the rest, write the writer's tokens back.
        if batch.going:
            inward, soft = _renoise(model, batch, prediction, staying, outward[:, staying], accepted[staying])


class _Batch:
    """The canvases that go on: a row each of what a step computes."""

    def __init__(
        self,
        canvases: CanvasBatch,
        generators: Sequence[torch.Generator],
        constraints: Sequence[CanvasConstraints],
        size: int,
        device: torch.device,
    ) -> None:
        self._canvases, self._generators, self._constraints = canvases, generators, constraints
        self._size, self._device = size, device
        self.going = list(range(len(generators)))
        """The canvas of each row."""
        self.held = BatchConstraints(constraints, size, device)

    def end(self, last: Tensor) -> Tensor:
        """Give up the rows where last, (batch,), is true → the other rows' numbers until now."""
        staying = (~last).nonzero().squeeze(-1)
        if len(staying) < len(last):
            self.going = [self.going[row] for row in staying.tolist()]
            if self.going:
                self._canvases.narrow(staying.to(self._device))
            kept = [self._constraints[canvas] for canvas in self.going]
            self.held = BatchConstraints(kept, self._size, self._device)
        return staying

    def draw(self, end: int) -> Tensor:
        """(batch, canvas) whole numbers below `end`, each row by its own generator."""
        generators = (self._generators[canvas] for canvas in self.going)
        return torch.stack([torch.randint(end, (self._size,), generator=each) for each in generators])


def _renoise(
    model: Denoiser[BatchT],
    batch: _Batch,
    prediction: sampling.Prediction,
    rows: Tensor,
    outward: Tensor,
    accepted: Tensor,
) -> tuple[Tensor, Tensor]:
    """The next canvases' ids, flat, and their self-conditioning, on the device.

    rows: (batch,), of the prediction, that go on; outward: (3, batch, canvas), their draft, entropy and top;
    accepted: (batch, canvas).
    """
    size = model.canvas_tokens
    draft, entropy, top = outward
    draft = draft.long()
    noise, uniform = batch.draw(model.vocab_size), batch.draw(2**UNIFORM_BITS)
    ids = batch.held.write_pins(torch.where(accepted, draft, noise))
    beyond = (accepted & (uniform / 2**UNIFORM_BITS >= top)).flatten().nonzero().squeeze(-1)
    spread = (entropy > CERTAIN).flatten().nonzero().squeeze(-1)
    row_of = (rows[:, None] * size + torch.arange(size)).flatten()
    parts = (ids, draft, spread, row_of[spread], beyond, row_of[beyond], uniform.flatten()[beyond])
    moved = torch.cat([part.flatten() for part in parts]).to(model.device)  # at once: each transfer is a wait
    inward, drafted, spread, spread_rows, beyond, beyond_rows, drawn = torch.split(
        moved, [part.numel() for part in parts]
    )
    if len(beyond):
        inward[beyond] = sampling.sample_beyond_draft(prediction, beyond_rows, drawn / 2**UNIFORM_BITS)
    return inward, model.soft_embedding(drafted, spread, prediction.probabilities, spread_rows)


def _refuse_nan(entropy: Tensor) -> None:
    if entropy.isnan().any():
        remedy = "Try again, or choose another device or precision in the settings."
        raise FaultError("output", "The model’s output is not a number.", remedy)


def _start(given: CanvasConstraints, generator: torch.Generator, size: int, vocab: int) -> Tensor:
    noise = torch.randint(vocab, (size,), generator=generator)
    if given.start is None:
        return noise
    renoised = torch.randperm(size, generator=generator)[: round(given.renoise_share * size)]
    ids = torch.tensor(given.start)
    ids[renoised] = noise[renoised]
    return ids
