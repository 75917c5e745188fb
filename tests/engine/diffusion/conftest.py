"""A tiny random model and the bundled one, each with the library's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.denoising import DenoisingStep, denoise_canvases
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.sampler_config import SamplerConfig

TINY_LENGTHS = [1, 15, 16, 47, 200]  # the window is 16
STARTER_LENGTHS = [20, 1100]  # the window is 1024


@dataclass(frozen=True)
class Pair:
    """The same checkpoint, ours and the library's."""

    ours: DiffusionGemma
    theirs: Any
    lengths: Sequence[int]

    def new_cache(self) -> Any:
        return DynamicCache(config=self.theirs.config.text_config)

    def logits(self, cache: Any, ids: Tensor, scores: Tensor | None = None) -> Tensor:
        """The library's, of one canvas: ids (canvas,); scores (canvas, vocab) → (canvas, vocab)."""
        logits: Tensor = self.theirs(
            decoder_input_ids=ids[None],
            past_key_values=cache,
            self_conditioning_logits=None if scores is None else scores[None],
        ).logits
        return logits[0]


@pytest.fixture(scope="module")
def tiny_pair(tiny: DiffusionGemma, tiny_library: Any) -> Pair:
    return Pair(tiny, tiny_library, TINY_LENGTHS)


@pytest.fixture(scope="module")
def starter_pair(starter: DiffusionGemma, starter_library: Any) -> Pair:
    return Pair(starter, starter_library, STARTER_LENGTHS)


@pytest.fixture(params=["tiny_pair", "starter_pair"])
def pair(request: pytest.FixtureRequest) -> Pair:
    chosen: Pair = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def model(pair: Pair) -> DiffusionGemma:
    return pair.ours


def prompt_ids(model: DiffusionGemma, count: int = 41, seed: int = 3) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = torch.randint(4, model.vocab_size, (count - 1,), generator=generator).tolist()
    return [2, *ids]


def prefilled(model: DiffusionGemma, ids: list[int]) -> Any:
    cache = model.new_cache()
    for start in range(0, len(ids), model.prefill_tokens):
        model.prefill(cache, ids[start : start + model.prefill_tokens])
    return cache


def noise(model: DiffusionGemma, count: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(model.vocab_size, (count, model.canvas_tokens), generator=generator)


def run(
    model: DiffusionGemma,
    caches: Sequence[Any],
    sampler: SamplerConfig,
    generators: Sequence[torch.Generator],
) -> list[DenoisingStep]:
    return list(
        denoise_canvases(
            model, model.open_canvases(caches), sampler, generators, [CanvasConstraints()] * len(generators)
        )
    )


def seeded(seeds: Sequence[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def last_drafts(steps: list[DenoisingStep]) -> list[tuple[int, list[int]]]:
    """Of each canvas: the number of steps it took, and its draft."""
    ends = sorted((step for step in steps if step.last), key=lambda step: step.canvas)
    return [(step.number, step.draft.tolist()) for step in ends]
