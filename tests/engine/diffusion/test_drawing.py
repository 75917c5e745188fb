"""Ids are drawn by probability, from one uniform number each."""

from __future__ import annotations

import math
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.diffusion import sampling
from engine.diffusion.sampling import Prediction
from tests.engine.diffusion.made_logits import (
    GEMMA_VOCAB,
    LARGEST_UNIFORM,
    Largest,
    kinds,
    rows_of,
    seeds,
    taus,
    vocabularies,
)


def draw(prediction: Prediction, uniform: Tensor) -> Tensor:
    """One id a row, as the loop draws it: the draft below its probability, else beyond it."""
    ids = prediction.draft.long()
    rows = (uniform >= prediction.top).nonzero().squeeze(-1)
    if len(rows):
        ids[rows] = sampling.sample_beyond_draft(prediction, rows, uniform[rows])
    return ids


def repeated(row: Tensor, count: int) -> Prediction:
    return sampling.predict(row.repeat(count, 1), 1.0)


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1.0)), min_size=1, max_size=9).filter(any),
    st.sampled_from([1, 3, 101]),
)
def test_a_sweep_of_uniform_numbers_draws_exactly_by_probability(weights: list[float], spacing: int) -> None:
    p = torch.zeros(len(weights) * spacing)
    p[::spacing] = torch.tensor(weights)
    p /= p.sum()
    count = 2048
    prediction = repeated(p.log(), count)
    drawn = draw(prediction, torch.arange(count) / count)
    shares = torch.bincount(drawn, minlength=len(p)) / count
    torch.testing.assert_close(shares, p, atol=1.5 / count, rtol=0)
    assert (p[drawn] > 0).all(), "a forbidden token was drawn"


def test_a_sweep_over_equal_tokens_gives_each_the_same_count() -> None:
    """All numbers are exact in fp32, so every edge between two tokens is met."""
    logits = torch.full((8, 6), -math.inf)
    logits[:, [1, 2, 4, 5]] = 0.0
    assert draw(sampling.predict(logits, 1.0), torch.arange(8) / 8).tolist() == [1, 1, 2, 2, 4, 4, 5, 5]


@given(kinds, vocabularies, seeds, taus)
def test_a_forbidden_token_is_never_drawn_at_any_edge(
    kinds: list[str], vocab: int, seed: int, tau: float
) -> None:
    prediction = sampling.predict(rows_of(kinds, vocab, seed), tau)
    rows = torch.arange(len(kinds))
    for edge in (prediction.top, torch.nextafter(prediction.top, torch.ones(())), torch.tensor(1.0)):
        uniform = edge.clamp(max=LARGEST_UNIFORM).expand(len(kinds))
        drawn = sampling.sample_beyond_draft(prediction, rows, uniform)
        assert (prediction.probabilities[rows, drawn] > 0).all()


def test_at_the_end_of_the_numbers_the_last_legal_token_is_drawn() -> None:
    """What rounding leaves above the last entry falls below it."""
    probabilities = torch.tensor([[0.0, 0.5, 0.25, 0.2, 0.0]])
    prediction = Prediction(probabilities, torch.ones(1), torch.tensor([1.0]), torch.tensor([0.5]))
    drawn = sampling.sample_beyond_draft(prediction, torch.tensor([0]), torch.tensor([LARGEST_UNIFORM]))
    assert drawn.tolist() == [3]


def test_beyond_a_draft_that_leaves_nothing_the_draft_is_drawn() -> None:
    """top is rounded below 1, and every other token's probability to 0."""
    probabilities = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    prediction = Prediction(
        probabilities, torch.zeros(1), torch.tensor([2.0]), torch.tensor([LARGEST_UNIFORM])
    )
    drawn = sampling.sample_beyond_draft(prediction, torch.tensor([0]), torch.tensor([LARGEST_UNIFORM]))
    assert drawn.tolist() == [2]


def test_a_number_below_the_drafts_probability_falls_on_no_forbidden_token() -> None:
    """Rounding between two devices can leave it a little too low."""
    probabilities = torch.tensor([[0.0, 0.75, 0.0, 0.25]])
    prediction = Prediction(probabilities, torch.ones(1), torch.tensor([1.0]), torch.tensor([0.75]))
    drawn = sampling.sample_beyond_draft(prediction, torch.tensor([0]), torch.tensor([0.7499]))
    assert drawn.tolist() == [3]


def test_drawing_leaves_the_prediction_as_it_is() -> None:
    prediction = sampling.predict(rows_of(["noise"] * 4, 99, 0), 1.0)
    before = [each.clone() for each in (prediction.probabilities, prediction.draft, prediction.top)]
    sampling.sample_beyond_draft(prediction, torch.tensor([2, 1]), torch.tensor([0.9, 0.99]))
    after = prediction.probabilities, prediction.draft, prediction.top
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_drawing_from_gemmas_vocabulary() -> None:
    """Tokens far apart, the last one of all among them."""
    legal = [0, 511, 512, 131_072, GEMMA_VOCAB - 1]
    logits = torch.full((1, GEMMA_VOCAB), -math.inf)
    logits[0, legal] = torch.tensor([0.1, 0.4, 0.2, 0.1, 0.2]).log()
    prediction = repeated(logits[0], 10)
    drawn = draw(prediction, (torch.arange(10) + 0.5) / 10)
    assert drawn.tolist() == [511] * 4 + [0, 512, 512, 131_072] + [GEMMA_VOCAB - 1] * 2


@pytest.mark.parametrize("rows_a_chunk", [1, 2, 9])
def test_rows_are_drawn_each_from_its_own_distribution(rows_a_chunk: int) -> None:
    logits = torch.full((3, 9), -math.inf)
    for row in range(3):
        logits[row, 3 * row : 3 * row + 3] = torch.tensor([0.0, -1.0, -2.0])
    prediction = sampling.predict(logits, 1.0)
    uniform = torch.tensor([0.999, 0.7, 0.998])
    with patch.object(sampling, "LOGITS_CHUNK_BYTES", rows_a_chunk * 9 * 4):
        drawn = sampling.sample_beyond_draft(prediction, torch.tensor([2, 0, 1]), uniform)
    assert drawn.tolist() == [8, 1, 5]


def test_drawing_makes_no_second_copy_of_the_probabilities() -> None:
    """Every position drawn beyond its draft, as a high entropy bound does."""
    prediction = sampling.predict(torch.zeros(8, GEMMA_VOCAB), 1.0)
    one_row = prediction.probabilities[0].nbytes
    with patch.object(sampling, "LOGITS_CHUNK_BYTES", 2 * one_row), Largest() as largest:
        sampling.sample_beyond_draft(prediction, torch.arange(8), torch.linspace(0.1, 0.9, 8))
    assert 0 < largest.nbytes <= 2 * one_row
