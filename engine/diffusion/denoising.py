"""The denoising loop over a batch of canvases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from engine.diffusion import sampling
from engine.diffusion.constraints import CanvasConstraints
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
    given: CanvasConstraints,
) -> Iterator[DenoisingStep]:
    """Denoise one canvas for each generator; a canvas's last step holds the draft to commit, and then it
    stops costing.

    Stages: 1 start from noise; then for each step 2 decode, 3 predict, 4 accept, 5 stop or go on, 6 sample
    and renoise. All draws come from the CPU generators and do not depend on what the model says. What is as
    large as the vocabulary stays on the device: each step takes ids in and three numbers a position out.
    """
    size, vocab, device = model.canvas_tokens, model.vocab_size, model.device
    free = torch.ones(size, dtype=torch.bool)
    free[list(given.pins)] = False
    pinned = (~free).nonzero().squeeze(-1)
    pinned_ids = torch.tensor([given.pins[position] for position in pinned.tolist()], dtype=torch.long)

    # 1. Noise, or the text to begin from, except where the writer's tokens stand.
    ids = torch.stack([_start(given, size, vocab, generator) for generator in generators])
    ids[:, pinned] = pinned_ids
    ignorance = torch.full((size,), math.log(vocab)).masked_fill(~free, 0.0)
    for canvas, start in enumerate(ids):
        yield DenoisingStep(canvas, 0, start, ignorance, ~free, last=not free.any())
    if not free.any():
        return

    banned = torch.tensor(list(given.banned), dtype=torch.long).to(device)
    going = list(range(len(ids)))
    drafts: list[list[Tensor]] = [[] for _ in going]
    soft: Tensor | None = None
    inward = ids.flatten().to(device)
    for number in range(1, sampler.max_steps + 1):
        # 2. Logits, soft-capped by the model.
        logits = model.denoise(canvases, inward.view(-1, size), soft)
        if given.banned_before:
            logits.view(-1, size, vocab)[:, : given.banned_before].index_fill_(-1, banned, -math.inf)

        # 3. Probabilities, entropies and draft at this step's temperature.
        steps_left = sampler.max_steps - number + 1
        tau = sampling.temperature(sampler.t_min, sampler.t_max, steps_left, sampler.max_steps)
        prediction = sampling.predict(logits, tau)
        if given.pins:
            rows = (torch.arange(len(going))[:, None] * size + pinned).flatten()
            sampling.pin(prediction, rows.to(device), pinned_ids.repeat(len(going)).to(device))
        outward = torch.stack((prediction.draft, prediction.entropy, prediction.top)).cpu()
        draft, entropy, top = outward.view(3, -1, size)
        if entropy.isnan().any():
            raise FaultError(
                "output",
                "The model’s output is not a number.",
                "Try again, or choose another device or precision in the settings.",
            )

        # 4. Accept the positions of lowest entropy.
        draft = draft.long()
        accepted = sampling.accept(entropy, sampler.entropy_bound)

        # 5. Stop where the draft is stable and its free positions are certain.
        staying = []
        for row, canvas in enumerate(going):
            drafts[canvas] = [*drafts[canvas], draft[row]][-1 - sampler.stability_threshold :]
            stop = sampler.early_stop and sampling.settled(
                drafts[canvas],
                sampler.stability_threshold,
                entropy[row, free].mean().item(),
                sampler.confidence_threshold,
            )
            last = stop or number == sampler.max_steps
            yield DenoisingStep(canvas, number, draft[row], entropy[row], accepted[row], last)
            if not last:
                staying.append(row)
        if not staying:
            return

        # 6. Sample what was accepted, renoise the rest, write the writer's tokens back.
        if len(staying) < len(going):
            canvases.narrow(torch.tensor(staying, device=device))
        going = [going[row] for row in staying]
        drawing = [generators[canvas] for canvas in going]
        noise, uniform = _drawn(vocab, size, drawing), _drawn(2**UNIFORM_BITS, size, drawing)
        draft, entropy, top, accepted = (each[staying] for each in (draft, entropy, top, accepted))
        ids = torch.where(accepted, draft, noise)
        ids[:, pinned] = pinned_ids
        beyond = (accepted & (uniform / 2**UNIFORM_BITS >= top)).flatten().nonzero().squeeze(-1)
        spread = (entropy > CERTAIN).flatten().nonzero().squeeze(-1)
        row_of = (torch.tensor(staying)[:, None] * size + torch.arange(size)).flatten()
        inward, drafted, spread, spread_rows, beyond, beyond_rows, drawn = _moved(
            device, ids, draft, spread, row_of[spread], beyond, row_of[beyond], uniform.flatten()[beyond]
        )
        if len(beyond):
            inward[beyond] = sampling.sample_beyond_draft(prediction, beyond_rows, drawn / 2**UNIFORM_BITS)
        soft = model.soft_embedding(drafted, spread, prediction.probabilities, spread_rows)


def _drawn(end: int, size: int, generators: Sequence[torch.Generator]) -> Tensor:
    """(batch, size) whole numbers below `end`, each row by its own generator."""
    return torch.stack([torch.randint(end, (size,), generator=generator) for generator in generators])


def _moved(device: torch.device, *parts: Tensor) -> tuple[Tensor, ...]:
    """Flat, in one transfer: each one is a wait."""
    moved = torch.cat([part.flatten() for part in parts]).to(device)
    return torch.split(moved, [part.numel() for part in parts])


def _start(given: CanvasConstraints, size: int, vocab: int, generator: torch.Generator) -> Tensor:
    noise = torch.randint(vocab, (size,), generator=generator)
    if given.start is None:
        return noise
    renoised = torch.randperm(size, generator=generator)[: round(given.strength * size)]
    ids = torch.tensor(given.start)
    ids[renoised] = noise[renoised]
    return ids
