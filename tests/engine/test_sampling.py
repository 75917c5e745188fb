"""The sampler's functions, with the library as the oracle."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    LinearTemperatureScheduleLogitsProcessor,
    StableAndConfidentStoppingCriteria,
)

from engine import sampling
from engine.errors import EngineError

entropies = st.lists(st.integers(0, 10_000).map(lambda n: n / 1000), min_size=1, max_size=40)
seeds = st.integers(0, 2**32)


def logits_of(seed: int, scale: float = 8.0, rows: int = 24, vocab: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    sharpness = torch.rand(rows, 1, generator=generator) * scale
    return torch.randn(rows, vocab, generator=generator) * sharpness


@pytest.mark.parametrize("steps_left", [1, 7, 48])
def test_temperature_follows_the_librarys_schedule(steps_left: int) -> None:
    scores = torch.ones(1, 1)
    theirs = LinearTemperatureScheduleLogitsProcessor(0.4, 0.8, 48)(None, scores, cur_step=steps_left)  # type: ignore[arg-type]
    assert 1 / sampling.temperature(0.4, 0.8, steps_left, 48) == pytest.approx(theirs.item())


@given(seeds, st.floats(0.2, 2.0))
def test_predict_is_softmax_entropy_and_argmax(seed: int, tau: float) -> None:
    logits = logits_of(seed)
    prediction = sampling.predict(logits.clone(), tau)
    exact: Any = torch.distributions.Categorical(logits=logits.double() / tau)
    torch.testing.assert_close(prediction.probabilities, exact.probs.float(), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(prediction.entropy, exact.entropy().float(), rtol=1e-4, atol=1e-5)
    assert torch.equal(prediction.draft, logits.argmax(-1))
    assert prediction.entropy.min() >= 0


def test_forbidden_tokens_have_no_probability_and_are_never_drawn() -> None:
    logits = torch.full((1, 5), -math.inf)
    logits[0, [1, 3]] = 0.0
    prediction = sampling.predict(logits, 1.0)
    assert prediction.probabilities[0].tolist() == [0.0, 0.5, 0.0, 0.5, 0.0]
    assert prediction.entropy.item() == pytest.approx(math.log(2))
    for uniform in (0.0, 0.25, 0.75, 1 - 2**-24):
        drawn = sampling.sample(prediction.probabilities, torch.tensor([0]), torch.tensor([uniform]))
        assert drawn.item() in (1, 3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    logits = torch.zeros(3, 5)
    logits[1, 2] = bad
    with pytest.raises(EngineError) as caught:
        sampling.predict(logits, 1.0)
    assert caught.value.kind == "output"
    assert caught.value.remedy


def test_a_row_without_any_legal_token_is_refused() -> None:
    with pytest.raises(EngineError):
        sampling.predict(torch.full((1, 5), -math.inf), 1.0)


@given(entropies, st.floats(0.0, 5.0))
def test_accepted_keeps_the_bound_and_is_never_empty(values: list[float], bound: float) -> None:
    entropy = torch.tensor(values)
    accepted = sampling.accept(entropy, bound)
    assert accepted.any()
    chosen = entropy[accepted].double()
    assert chosen.sum() - chosen.max() <= bound + 1e-4
    if not accepted.all():
        rest = entropy[~accepted].min()
        assert chosen.max() <= rest
        assert chosen.sum() > bound - 1e-4


@given(seeds, st.floats(0.01, 3.0))
def test_accepted_set_is_the_librarys(seed: int, bound: float) -> None:
    logits = logits_of(seed)
    sampler: Any = EntropyBoundSampler(EntropyBoundSamplerConfig(entropy_bound=bound), 24, 50, 1)
    ids = torch.zeros(1, 24, dtype=torch.long)
    sampler.accept_canvas(ids, ids, logits[None], 1)
    theirs = sampler.accepted_token_mask[0]
    exact: Any = torch.distributions.Categorical(logits=logits)
    same_entropies = exact.entropy()
    assert torch.equal(sampling.accept(same_entropies, bound), theirs)
    ours = sampling.accept(sampling.predict(logits.clone(), 1.0).entropy, bound)
    ascending = same_entropies.double().sort().values
    slack = (ascending.cumsum(0) - ascending - bound).abs()
    differing = (ours != theirs).nonzero().squeeze(-1)
    order = same_entropies.argsort().argsort()
    assert all(slack[order[position]] < 1e-4 for position in differing)


def test_pins_are_exact_and_cost_nothing() -> None:
    pinned = torch.tensor([True, False, False])
    ids = torch.tensor([4, 0, 0])
    prediction = sampling.pin(sampling.predict(torch.zeros(3, 5), 1.0), pinned, ids)
    assert prediction.probabilities[0].tolist() == [0, 0, 0, 0, 1]
    assert prediction.draft[0] == 4
    accepted = sampling.accept(prediction.entropy, 0.0)
    assert accepted.tolist()[0]
    assert sum(accepted.tolist()) == 2  # the pin, and one free position


@given(seeds)
def test_drawing_follows_the_distribution(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    p = torch.rand(1, 4, generator=generator) + 0.05
    p = p / p.sum()
    uniform = (torch.arange(2000) + 0.5) / 2000
    drawn = sampling.sample(p, torch.zeros(2000, dtype=torch.long), uniform)
    shares = torch.bincount(drawn, minlength=4) / 2000
    torch.testing.assert_close(shares, p[0], atol=2e-3, rtol=0)


@given(st.integers(0, 2), st.lists(st.integers(0, 1), min_size=1, max_size=6), st.booleans())
def test_the_stop_decision_is_the_librarys(stability: int, history: list[int], certain: bool) -> None:
    logits = torch.zeros(1, 8, 5)
    logits[..., 0] = 40.0 if certain else 1.0
    theirs: Any = StableAndConfidentStoppingCriteria(stability, 0.005)
    drafts: list[torch.Tensor] = []
    mean_entropy = sampling.predict(logits[0].clone(), 1.0).entropy.mean().item()
    for value in history:
        draft = torch.full((8,), value)
        drafts.append(draft)
        expected = bool(theirs(draft[None], logits).item())
        assert sampling.settled(drafts, stability, mean_entropy, 0.005) == expected
