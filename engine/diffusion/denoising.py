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

    @property
    def tokens(self) -> int:
        """Positions of each canvas."""

    def narrow(self, indices: Tensor) -> None: ...


BatchT = TypeVar("BatchT", bound=CanvasBatch, contravariant=True)


class Denoiser(Protocol[BatchT]):
    """What the loop needs of a model."""

    @property
    def device(self) -> torch.device: ...
    @property
    def vocab_size(self) -> int: ...

    def check_cancelled(self) -> None:
        """Is called between two parts of what takes long; it may raise."""

    def denoise(self, canvases: BatchT, ids: Tensor, soft: Tensor | None, places: Tensor | None) -> Tensor:
        """ids: (batch, canvas); soft: (batch · canvas, hidden); places: (rows,), the positions to predict,
        counted through the batch, None for all → (rows, vocab) fp32, the caller's until the next call.
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
    Pinned positions are seen by the others and not predicted.
    """
    size, vocab, device = canvases.tokens, model.vocab_size, model.device
    stability, confidence = sampler.stability_threshold, sampler.confidence_threshold
    batch = _Batch(canvases, generators, constraints, size, device)

    # 1. Noise, except where pins stand.
    ids, free = batch.held.write_pins(batch.draw(vocab)), batch.held.free
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
        held = batch.held
        logits = model.denoise(canvases, inward.view(-1, size), soft, held.places)
        held.ban(logits)

        # 3. Probabilities, entropies and draft at this step's temperature.
        steps_left = sampler.max_steps - number + 1
        tau = sampling.temperature(sampler.t_min, sampler.t_max, steps_left, sampler.max_steps)
        prediction = sampling.predict(logits, tau, model.check_cancelled)
        draft, entropy, top = held.whole(prediction)
        _refuse_nan(entropy)

        # 4. Accept the positions of lowest entropy.
        accepted = sampling.accept(entropy, sampler.entropy_bound)

        # 5. Stop where the draft is stable and its free positions are certain.
        drafts = [*drafts, draft][-1 - stability :]
        settled = sampling.settled(drafts, stability, held.mean_over_free(entropy), confidence)
        last = settled & sampler.early_stop | (number == sampler.max_steps)
        for row, canvas in enumerate(batch.going):
            yield DenoisingStep(canvas, number, draft[row], entropy[row], accepted[row], bool(last[row]))
        staying = batch.end(last)
        drafts = [earlier[staying] for earlier in drafts]

        # 6. Sample what was accepted, renoise the rest, write the writer's tokens back.
        if batch.going:
            kept = (each[staying] for each in (held.row_of, draft, entropy, top, accepted))
            inward, soft = _renoise(model, batch, prediction, *kept)


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
    row_of: Tensor,
    draft: Tensor,
    entropy: Tensor,
    top: Tensor,
    accepted: Tensor,
) -> tuple[Tensor, Tensor]:
    """The next canvases' ids, flat, and their self-conditioning, on the device.

    Of the canvases that go on, (batch, canvas) each. row_of: which row of the prediction is a position's.
    """
    noise, uniform = batch.draw(model.vocab_size), batch.draw(2**UNIFORM_BITS)
    ids = batch.held.write_pins(torch.where(accepted, draft, noise))
    beyond = (accepted & (uniform / 2**UNIFORM_BITS >= top)).flatten().nonzero().squeeze(-1)
    spread = (entropy > CERTAIN).flatten().nonzero().squeeze(-1)
    row_of = row_of.flatten()
    parts = (ids, draft, spread, row_of[spread], beyond, row_of[beyond], uniform.flatten()[beyond])
    moved = torch.cat([part.flatten() for part in parts]).to(model.device)  # at once: each transfer is a wait
    inward, drafted, spread, spread_rows, beyond, beyond_rows, drawn = torch.split(
        moved, [part.numel() for part in parts]
    )
    if len(beyond):
        uniform = drawn / 2**UNIFORM_BITS
        inward[beyond] = sampling.sample_beyond_draft(prediction, beyond_rows, uniform, model.check_cancelled)
    return inward, model.soft_embedding(drafted, spread, prediction.probabilities, spread_rows)


def _refuse_nan(entropy: Tensor) -> None:
    if entropy.isnan().any():
        remedy = "Try again, or choose another device or precision in the settings."
        raise FaultError("output", "The model’s output is not a number.", remedy)
