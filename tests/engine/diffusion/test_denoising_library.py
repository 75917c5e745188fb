"""The denoising loop beside the library's own step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation.logits_process import LogitsProcessorList
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationMixin,
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    LinearTemperatureScheduleLogitsProcessor,
    StableAndConfidentStoppingCriteria,
)

from engine.diffusion import sampling
from engine.diffusion.denoising import denoise_canvases
from engine.model.sampler_config import SamplerConfig
from tests.engine.diffusion.draws import CLOSE, Draws
from tests.engine.diffusion.tables import NOTHING, Rows, Table, model_of, seeds


class Library:
    """Its own step in its own order, on a table; the draws are ours."""

    def __init__(self, table: Table, sampler: SamplerConfig, draws: Draws, count: int) -> None:
        self._table, self._max_steps = table, sampler.max_steps
        size, vocab = table.canvas_tokens, table.vocab_size
        self.draws = draws
        self.sampler: Any = EntropyBoundSampler(
            EntropyBoundSamplerConfig(sampler.entropy_bound), size, vocab, sampler.max_steps
        )
        self._bound, self._confidence = sampler.entropy_bound, sampler.confidence_threshold
        self._schedule = LinearTemperatureScheduleLogitsProcessor(
            sampler.t_min, sampler.t_max, sampler.max_steps
        )
        self._stopping = StableAndConfidentStoppingCriteria(
            sampler.stability_threshold, sampler.confidence_threshold
        )
        self._model: Any = SimpleNamespace(
            config=SimpleNamespace(text_config=SimpleNamespace(vocab_size=vocab)),
            model=SimpleNamespace(
                decoder=SimpleNamespace(embed_tokens=SimpleNamespace(weight=torch.zeros(1)))
            ),
        )
        self._base = table.base[:count]
        self.finished = torch.zeros(count, dtype=torch.bool)
        with draws.instead_of_torch():
            self.canvas = self.argmax = self.sampler.initialize_canvas(count, torch.device("cpu"))
        self._scores: Tensor | None = None

    def _decode(self, decoder_input_ids: Tensor, self_conditioning_logits: Tensor | None, **_: object) -> Any:
        soft = None if self_conditioning_logits is None else self_conditioning_logits.softmax(-1)
        return SimpleNamespace(logits=self._table.logits(self._base, decoder_input_ids, soft))

    def step(self, steps_left: int) -> None:
        with self.draws.instead_of_torch():
            self.canvas, self.argmax, self._scores, self.finished = (
                DiffusionGemmaGenerationMixin._denoising_step(
                    self._model,
                    decoder_forward=self._decode,
                    current_canvas=self.canvas,
                    argmax_canvas=self.argmax,
                    input_ids=self.canvas,
                    decoder_position_ids=self.canvas,
                    self_conditioning_logits=self._scores,  # type: ignore[arg-type]
                    mask_mapping={},
                    past_key_values=None,  # type: ignore[arg-type]
                    finished_denoising=self.finished,
                    cur_step=steps_left,
                    sampler=self.sampler,
                    logits_processor=LogitsProcessorList([self._schedule]),
                    diffusion_stopping_criteria=self._stopping,
                )
            )

    @property
    def undecided(self) -> bool:
        """Whether a difference in the last bits could have decided otherwise."""
        assert self._scores is not None
        exact: Any = torch.distributions.Categorical(logits=self._scores.double())
        ascending = exact.entropy().sort().values
        sums = ascending.cumsum(-1) - ascending
        within = sums <= self._bound
        at_bound = within[:, :-1] & ~within[:, 1:]
        best = self._scores.double().topk(2).values
        gap = best[..., 0] - best[..., 1]
        return bool(
            ((sums - self._bound).abs() < CLOSE).any()
            | ((exact.entropy().mean(-1) - self._confidence).abs() < CLOSE).any()
            | (at_bound & (ascending.diff() < CLOSE)).any()
            | ((gap < CLOSE) & (gap > 0)).any()
            | (self.draws.close & self.sampler.accepted_token_mask).any()
        )


def assert_a_run_is_the_librarys(table: Table, batch: list[int], sampler: SamplerConfig) -> bool:
    """False where a difference in the last bits could decide: from there on there is nothing to compare."""
    generators = [torch.Generator().manual_seed(seed) for seed in batch]
    steps = list(
        denoise_canvases(
            table, Rows(len(batch), table.canvas_tokens), sampler, generators, [NOTHING] * len(batch)
        )
    )
    theirs = Library(table, sampler, Draws(batch, table.canvas_tokens, table.vocab_size), len(batch))
    for number in range(1, sampler.max_steps + 1):
        going = (~theirs.finished).nonzero().squeeze(-1).tolist()
        assert list(table.seen[number - 1]) == going
        for canvas in going:
            assert torch.equal(table.seen[number - 1][canvas], theirs.canvas[canvas])
        theirs.step(sampler.max_steps - number + 1)
        if theirs.undecided:
            return False
        shown = [step for step in steps if step.number == number]
        assert [step.canvas for step in shown] == going
        for step in shown:
            assert torch.equal(step.draft, theirs.argmax[step.canvas])
            assert torch.equal(step.accepted, theirs.sampler.accepted_token_mask[step.canvas])
            assert step.last == (bool(theirs.finished[step.canvas]) or number == sampler.max_steps)
        if theirs.finished.all():
            break
    assert len(table.seen) == number
    return True


@hypothesis_settings(max_examples=60)
@given(
    st.lists(seeds, min_size=1, max_size=3, unique=True),
    seeds,
    st.booleans(),
    st.floats(0.01, 2.0),
    st.sampled_from([0.05, 0.3, 1.0]),
    st.integers(0, 3),
    st.sampled_from([(0.4, 0.8), (0.05, 3.0)]),
)
def test_a_run_is_the_librarys_step_by_step(
    batch: list[int],
    seed: int,
    quantised: bool,
    bound: float,
    confidence: float,
    stability: int,
    temperatures: tuple[float, float],
) -> None:
    """Canvases, drafts, accepted sets and ends, with self-conditioning carried over."""
    table = model_of(seed, len(batch), quantised)
    sampler = SamplerConfig(10, *temperatures, bound, stability, confidence)
    assume(assert_a_run_is_the_librarys(table, batch, sampler))


def test_a_run_over_gemmas_vocabulary_is_the_librarys() -> None:
    size, vocab = 4, 262_144
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(2, size, vocab, generator=generator)
    likely = torch.randint(vocab, (2, size, 3), generator=generator)
    base.scatter_(-1, likely, 17 + 2 * torch.randn(2, size, 3, generator=generator))
    sampler = SamplerConfig(4, 0.4, 1.4, 1.0, 1, 0.7)
    table = Table(base, of_soft=4.0)
    with patch.object(sampling, "CACHE_BYTES", 3 * vocab * 4):
        assert assert_a_run_is_the_librarys(table, [3, 4], sampler)
    assert [list(seen) for seen in table.seen] == [[0, 1], [0, 1], [0, 1], [0]]
