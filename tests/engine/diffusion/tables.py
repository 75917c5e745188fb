"""Models that are arithmetic: a table of logits for each canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import one_hot

from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.denoising import DenoisingStep, denoise_canvases
from engine.model.sampler_config import SamplerConfig

SIZE, VOCAB = 8, 11
NOTHING = CanvasConstraints()
seeds = st.integers(0, 2**32)
pins_of_a_canvas = st.dictionaries(st.integers(0, SIZE - 1), st.integers(0, VOCAB - 1))
constraints_of_a_canvas = st.builds(
    CanvasConstraints,
    pins=pins_of_a_canvas | st.just(dict.fromkeys(range(SIZE), 3)),
    banned=st.sampled_from([(), (7, 8), (1,)]),
    banned_before=st.integers(0, SIZE),
)


class Rows:
    """A batch: which canvases are left."""

    def __init__(self, count: int, tokens: int = SIZE) -> None:
        self.left = list(range(count))
        self.tokens = tokens

    def narrow(self, indices: Tensor) -> None:
        self.left = [self.left[n] for n in indices.tolist()]


class Table:
    """Says base[canvas], and `of_ids` and `of_soft` times what it is shown. Remembers what that was."""

    device = torch.device("cpu")

    def __init__(self, base: Tensor, of_ids: Tensor | None = None, of_soft: float = 0.0) -> None:
        """base: (canvas, vocab), or (batch, canvas, vocab)"""
        self.base = base if base.dim() == 3 else base[None].expand(4, -1, -1)
        self.canvas_tokens, self.vocab_size = base.shape[-2:]
        self._of_ids, self._of_soft = of_ids, of_soft
        self.seen: list[dict[int, Tensor]] = []  # of each step: ids by canvas
        self.soft: list[dict[int, Tensor] | None] = []
        self.places: list[Tensor | None] = []

    def denoise(self, canvases: Rows, ids: Tensor, soft: Tensor | None, places: Tensor | None) -> Tensor:
        assert len(ids) == len(canvases.left)
        self.places.append(places)
        self.seen.append(dict(zip(canvases.left, ids.clone(), strict=True)))
        soft = None if soft is None else soft.view(len(ids), self.canvas_tokens, -1)
        self.soft.append(None if soft is None else dict(zip(canvases.left, soft.clone(), strict=True)))
        logits = self.logits(self.base[canvases.left], ids, soft).flatten(0, 1)
        return logits.contiguous() if places is None else logits[places]

    def logits(self, base: Tensor, ids: Tensor, soft: Tensor | None) -> Tensor:
        logits = base.clone()
        if self._of_ids is not None:
            logits += self._of_ids[ids]
        if soft is not None:
            logits += self._of_soft * soft.roll(1, dims=1)
        return logits

    def check_cancelled(self) -> None: ...

    def soft_embedding(self, draft: Tensor, spread: Tensor, probabilities: Tensor, rows: Tensor) -> Tensor:
        mean = one_hot(draft, self.vocab_size).float()
        mean[spread] = probabilities[rows]
        return mean


def certain(rows: int = SIZE) -> Tensor:
    """Position n says token n, the positions from `rows` on say nothing."""
    logits = torch.zeros(SIZE, VOCAB)
    logits[range(rows), range(rows)] = 30.0
    return logits


def settings(**changes: Any) -> SamplerConfig:
    values: dict[str, Any] = {"max_steps": 6, "t_min": 0.5, "t_max": 1.0, "entropy_bound": 0.1}
    values |= {"stability_threshold": 1, "confidence_threshold": 0.01}
    return SamplerConfig(**values | changes)


def run_batch(
    table: Table,
    seeds: Sequence[int],
    given: CanvasConstraints | Sequence[CanvasConstraints] = NOTHING,
    **changes: Any,
) -> list[DenoisingStep]:
    """given: of all canvases, or of each."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    each = [given] * len(seeds) if isinstance(given, CanvasConstraints) else given
    return list(
        denoise_canvases(table, Rows(len(seeds), table.canvas_tokens), settings(**changes), generators, each)
    )


def run(
    table: Table, seed: int = 0, pins: dict[int, int] | None = None, **changes: Any
) -> list[DenoisingStep]:
    return run_batch(table, [seed], CanvasConstraints(pins=pins or {}), **changes)


def canvases(table: Table, canvas: int = 0) -> list[Tensor]:
    return [seen[canvas] for seen in table.seen if canvas in seen]


def softs(table: Table, canvas: int = 0) -> list[Tensor]:
    return [soft[canvas] for soft in table.soft if soft is not None and canvas in soft]


def model_of(seed: int, count: int, quantised: bool) -> Table:
    """Canvases that settle at different steps; quantised: logits with ties."""
    generator = torch.Generator().manual_seed(seed)
    sharpness = torch.linspace(3.0, 14.0, count)[torch.randperm(count, generator=generator), None, None]
    base = torch.randn(count, SIZE, VOCAB, generator=generator) * sharpness
    of_ids = torch.randn(VOCAB, VOCAB, generator=generator)
    if quantised:
        return Table(base.round(), of_ids.round())
    return Table(base, of_ids, of_soft=3.0)
