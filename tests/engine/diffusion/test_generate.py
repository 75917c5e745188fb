"""Whole runs against the library's generate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationMixin,
    EntropyBoundSamplerConfig,
)

from engine.model.sampler_config import SamplerConfig
from engine.text.detokenizer import Detokenizer, LeadingSpace, StreamingDetokenizer
from tests.engine.diffusion.conftest import (
    TINY_LENGTHS,
    Pair,
    last_drafts,
    prefilled,
    prompt_ids,
    run,
    seeded,
)
from tests.engine.diffusion.draws import Draws


def generated(
    pair: Pair, ids: list[int], sampler: SamplerConfig, draws: Draws, canvases: int = 1
) -> list[int]:
    """generate() with our draws → the new ids, from the first end id on padding."""
    with draws.instead_of_torch():
        output = pair.theirs.generate(
            input_ids=torch.tensor([ids]),
            max_new_tokens=canvases * pair.ours.canvas_tokens,
            max_denoising_steps=sampler.max_steps,
            t_min=sampler.t_min,
            t_max=sampler.t_max,
            sampler_config=EntropyBoundSamplerConfig(sampler.entropy_bound),
            stability_threshold=sampler.stability_threshold,
            confidence_threshold=sampler.confidence_threshold,
            eos_token_id=sorted(pair.ours.end_ids),
            pad_token_id=pair.ours.pad_id,
        )
    new: list[int] = output.sequences[0, len(ids) :].tolist()
    return new


def trimmed(ids: list[int], end_ids: frozenset[int]) -> list[int]:
    """Up to the first end id, and that."""
    ends = [place for place, index in enumerate(ids) if index in end_ids]
    return ids[: ends[0] + 1] if ends else ids


@pytest.mark.parametrize(
    "sampler",
    [
        SamplerConfig(16, 0.2, 0.6, 0.4, 1, 1e-9),
        SamplerConfig(16, 0.05, 0.2, 3.0, 1, 0.15),
        SamplerConfig(16, 0.05, 0.2, 0.4, 3, 0.1),
    ],
)
def test_the_drafts_of_a_batch_are_those_of_generate(tiny_pair: Pair, sampler: SamplerConfig) -> None:
    """Five prompts in one batch; save with the first settings their canvases finish at different steps."""
    ours = tiny_pair.ours
    prompts = [prompt_ids(ours, length, seed=length) for length in TINY_LENGTHS]
    seeds = [11, 12, 13, 14, 15]
    drafts = last_drafts(run(ours, [prefilled(ours, ids) for ids in prompts], sampler, seeded(seeds)))
    for seed, prompt, (steps, draft) in zip(seeds, prompts, drafts, strict=True):
        draws = Draws([seed], 16, ours.vocab_size)
        theirs = generated(tiny_pair, prompt, sampler, draws)
        assert trimmed(draft, ours.end_ids) == trimmed(theirs, ours.end_ids)
        assert steps == draws.steps
    assert (len({steps for steps, _ in drafts}) > 2) == (sampler.confidence_threshold > 0.01)


def test_a_short_run_of_the_bundled_model_is_generates(starter_pair: Pair) -> None:
    ours = starter_pair.ours
    sampler = SamplerConfig(6, 0.3, 0.5, 0.3, 1, 0.02)
    prompt = [2, *ours.tokenizer.encode("Dear Anna,\n\nThank you for your letter.")]
    theirs = generated(starter_pair, prompt, sampler, Draws([7], 256, ours.vocab_size))
    ((_, draft),) = last_drafts(run(ours, [prefilled(ours, prompt)], sampler, seeded([7])))
    assert trimmed(draft, ours.end_ids) == trimmed(theirs, ours.end_ids)


def test_canvas_after_canvas_is_generates(tiny_pair: Pair) -> None:
    """Three canvases: what was committed is read before the next, and the draws go on."""
    ours = tiny_pair.ours
    sampler = SamplerConfig(7, 0.2, 0.6, 0.4, 1, 0.005)
    prompt = prompt_ids(ours, 20)
    cache, generators = prefilled(ours, prompt), seeded([5])
    committed: list[int] = []
    for _ in range(3):
        ((_, draft),) = last_drafts(run(ours, [cache], sampler, generators))
        committed += draft
        ours.prefill(cache, draft)
    assert not ours.end_ids & set(committed)
    assert committed == generated(tiny_pair, prompt, sampler, Draws([5], 16, 99), canvases=3)


@given(
    st.lists(st.integers(0, 9), min_size=12, max_size=12),
    st.sets(st.integers(1, 9), min_size=1, max_size=3),
    st.lists(st.integers(0, 9), max_size=3),
)
def test_a_draft_is_trimmed_where_the_library_trims(
    ids: list[int], ends: set[int], before: list[int]
) -> None:
    pieces = Detokenizer(
        {
            "model": {"vocab": {letter: index for index, letter in enumerate("abcdefghij")}},
            "decoder": {"type": "ByteLevel"},
        }
    )
    reading = StreamingDetokenizer(pieces, ends, LeadingSpace()).finish(ids)
    end_ids = torch.tensor(sorted(ends))
    config: Any = DiffusionGemmaGenerationMixin
    theirs, finished = config._finalize_canvas(
        torch.tensor([before + ids]),
        torch.tensor([False]),
        _Settings(pad_token_id=0, eos_token_id=sorted(ends)),
        lambda _ids, _scores, new_token_length: torch.isin(_ids[:, -new_token_length:], end_ids).any(-1),
        12,
        end_ids,
    )
    new = theirs[0, len(before) :].tolist()
    assert reading.ended == bool(finished)
    kept = [*ids[: reading.tokens], *([new[reading.tokens]] if reading.ended else [])]
    assert new == kept + [0] * (12 - len(kept))
    assert not reading.ended or kept[-1] in ends
    assert not set(kept[: reading.tokens]) & ends
    assert reading.texts == ["abcdefghij"[index] for index in ids[: reading.tokens]] + [""] * (
        12 - reading.tokens
    )


@dataclass
class _Settings:
    pad_token_id: int
    eos_token_id: list[int]
