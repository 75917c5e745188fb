"""The sampler's functions, with the library and fp64 as oracles."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    LinearTemperatureScheduleLogitsProcessor,
    StableAndConfidentStoppingCriteria,
)

from engine.checkpoints.memory_estimate import row_chunks
from engine.diffusion import sampling
from engine.diffusion.denoising import CERTAIN
from tests.engine.diffusion.made_logits import (
    GEMMA_VOCAB,
    Largest,
    assert_exact,
    entropies,
    exact_of,
    kinds,
    rows_of,
    seeds,
    taus,
    vocabularies,
)

# ------------------------------------------------------------------ temperature


@pytest.mark.parametrize("steps_left", [1, 7, 48])
def test_temperature_follows_the_librarys_schedule(steps_left: int) -> None:
    processor: Any = LinearTemperatureScheduleLogitsProcessor(0.4, 0.8, 48)
    theirs = processor(None, torch.ones(1, 1), cur_step=steps_left)
    assert 1 / sampling.temperature(0.4, 0.8, steps_left, 48) == pytest.approx(theirs.item())


# ------------------------------------------------------------------ predict


@given(kinds, vocabularies, seeds, taus)
@example(["huge spread", "spread"], 64, 0, 0.05)
def test_predict_is_softmax_entropy_and_argmax(kinds: list[str], vocab: int, seed: int, tau: float) -> None:
    logits = rows_of(kinds, vocab, seed)
    assert_exact(sampling.predict(logits.clone(), tau), logits, tau)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.sampled_from([64, 99, 512, 1024]), seeds)
def test_of_equal_logits_the_first_is_the_draft(levels: list[int], vocab: int, seed: int) -> None:
    logits = torch.randint(
        max(levels) + 1, (len(levels), vocab), generator=torch.Generator().manual_seed(seed)
    )
    prediction = sampling.predict(logits.float(), 1.0)
    assert torch.equal(prediction.draft.long(), logits.argmax(-1))


@given(st.integers(1, 9), st.integers(1, 9), seeds)
def test_the_size_of_a_chunk_changes_nothing(rows: int, rows_a_chunk: int, seed: int) -> None:
    logits = rows_of(["noise"] * rows, 128, seed)
    whole = sampling.predict(logits.clone(), 0.7)
    with patch.object(sampling, "CACHE_BYTES", rows_a_chunk * 128 * 4 + 3):
        pieces = sampling.predict(logits.clone(), 0.7)
    assert torch.equal(whole.probabilities, pieces.probabilities)
    assert torch.equal(whole.entropy, pieces.entropy)
    assert torch.equal(whole.draft, pieces.draft)
    assert torch.equal(whole.top, pieces.top)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 400))
def test_chunks_are_all_rows_once_and_in_order(rows: int, row_bytes: int, chunk_bytes: int) -> None:
    pieces = [range(rows)[piece] for piece in row_chunks(rows, row_bytes, chunk_bytes)]
    assert [row for piece in pieces for row in piece] == list(range(rows))
    assert all(len(piece) * row_bytes <= max(chunk_bytes, row_bytes) for piece in pieces)


@pytest.mark.parametrize("chunk_rows", [1, 2, 5])
def test_gemmas_vocabulary_with_a_chunk_boundary_inside(chunk_rows: int) -> None:
    logits = rows_of(["noise", "certain", "ties", "forbidden", "spread"], GEMMA_VOCAB, 3)
    logits[2, [7, GEMMA_VOCAB - 1]] = 20.0
    logits[4, -1] = 500.0
    with patch.object(sampling, "CACHE_BYTES", chunk_rows * GEMMA_VOCAB * 4):
        prediction = sampling.predict(logits.clone(), 0.4)
    assert_exact(prediction, logits, 0.4)
    assert prediction.draft[[2, 4]].tolist() == [7, GEMMA_VOCAB - 1]


def test_there_is_no_second_copy_of_the_logits() -> None:
    logits = torch.randn(8, GEMMA_VOCAB, generator=torch.Generator().manual_seed(0))
    with Largest() as largest:
        prediction = sampling.predict(logits, 1.0)
    assert prediction.probabilities.data_ptr() == logits.data_ptr()
    assert 0 < largest.nbytes <= logits.nbytes // 4 == sampling.CACHE_BYTES


@given(st.sampled_from([math.nan, math.inf, -math.inf]), st.sampled_from([5, 64, 512]), st.data())
def test_where_the_output_is_no_number_entropy_is_none(bad: float, vocab: int, data: st.DataObject) -> None:
    logits = torch.randn(4, vocab, generator=torch.Generator().manual_seed(0))
    row, column = data.draw(st.integers(0, 3)), data.draw(st.integers(0, vocab - 1))
    logits[row, slice(None) if bad == -math.inf else column] = bad
    told = sampling.predict(logits, 0.5).entropy.isnan()
    assert told.tolist() == [n == row for n in range(4)]


def test_forbidden_tokens_have_no_probability() -> None:
    logits = torch.full((1, 5), -math.inf)
    logits[0, [1, 3]] = 0.0
    prediction = sampling.predict(logits, 1.0)
    assert prediction.probabilities[0].tolist() == [0.0, 0.5, 0.0, 0.5, 0.0]
    assert prediction.entropy.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("vocab", [4096, GEMMA_VOCAB])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_entropy_is_exact_where_it_decides(vocab: int, noise: float) -> None:
    """Soft-capped logits at a low temperature: positions of almost no entropy are many, and are added up."""
    logits = torch.randn(9, vocab, generator=torch.Generator().manual_seed(0)) * noise
    logits[:, 5] = torch.linspace(4.0, 30.0, 9)
    prediction = sampling.predict(logits.clone(), 0.5)
    exact = exact_of(logits, 0.5)
    torch.testing.assert_close(prediction.entropy, exact.entropy().float(), rtol=1e-6, atol=2e-6)
    torch.testing.assert_close(prediction.top, exact.probs.amax(-1).float(), rtol=2e-6, atol=0)
    torch.testing.assert_close(prediction.probabilities.sum(-1), torch.ones(9), rtol=2e-6, atol=0)


@given(st.floats(8.0, 40.0), vocabularies, seeds)
def test_a_certain_row_leaves_next_to_nothing_to_other_tokens(peak: float, vocab: int, seed: int) -> None:
    logits = rows_of(["noise"] * 8, vocab, seed)
    logits[:, 0] = peak + torch.arange(8)
    exact = exact_of(logits, 1.0)
    prediction = sampling.predict(logits.clone(), 1.0)
    assert (1 - exact.probs[prediction.entropy <= CERTAIN, 0] < 1e-6).all()


# ------------------------------------------------------------------ pins


@given(entropies, st.integers(1, 10), st.floats(0.0, 5.0))
def test_pins_take_nothing_of_the_entropy_budget(values: list[float], pins: int, bound: float) -> None:
    alone = sampling.accept(torch.tensor(values), bound)
    with_pins = sampling.accept(torch.tensor([0.0] * pins + values), bound)
    assert with_pins.tolist() == [True] * pins + alone.tolist()


# ------------------------------------------------------------------ accept


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


class _Library:
    """Its sampler and its stop rule, fed with entropies of ours."""

    def __init__(self, entropy: Tensor) -> None:
        self._entropy = entropy

    def __call__(self, logits: Tensor) -> _Library:  # noqa: ARG002
        return self

    def entropy(self) -> Tensor:
        return self._entropy


@given(st.lists(entropies, min_size=1, max_size=4), st.floats(0.01, 3.0))
def test_given_our_entropies_the_accepted_set_is_the_librarys(batch: list[list[float]], bound: float) -> None:
    size = min(map(len, batch))
    entropy = torch.tensor([values[:size] for values in batch])
    ids = torch.zeros_like(entropy, dtype=torch.long)
    theirs: Any = EntropyBoundSampler(EntropyBoundSamplerConfig(bound), size, 5, 1)
    with patch.object(torch.distributions, "Categorical", _Library(entropy)):
        theirs.accept_canvas(ids, ids, entropy, 1)
    ours = sampling.accept(entropy, bound)
    assert torch.equal(ours, torch.stack([sampling.accept(each, bound) for each in entropy]))
    for row, mine, other in zip(entropy, ours, theirs.accepted_token_mask, strict=True):
        assert torch.equal(row[mine].sort().values, row[other].sort().values)
        if len(row.unique()) == size:  # which of equal entropies it takes, the library leaves open
            assert torch.equal(mine, other)


def test_of_equal_entropies_the_first_are_accepted() -> None:
    entropy = torch.full((2, 300), 0.5)
    assert sampling.accept(entropy, 2.0).tolist() == [[True] * 5 + [False] * 295] * 2


@given(kinds, st.sampled_from([5, 64, 99]), seeds, taus, st.floats(0.01, 3.0))
def test_given_our_logits_sets_differ_only_at_the_bound(
    kinds: list[str], vocab: int, seed: int, tau: float, bound: float
) -> None:
    logits = rows_of(kinds, vocab, seed)
    theirs: Any = EntropyBoundSampler(EntropyBoundSamplerConfig(bound), len(kinds), vocab, 1)
    ids = torch.zeros(1, len(kinds), dtype=torch.long)
    theirs.accept_canvas(ids, ids, logits[None] / tau, 1)
    ours = sampling.accept(sampling.predict(logits.clone(), tau).entropy, bound)
    differing = (ours != theirs.accepted_token_mask[0]).nonzero().squeeze(-1)
    exact = exact_of(logits, tau).entropy()
    sums = [exact[exact < exact[n] - 1e-4].sum() for n in differing]
    ties = [(exact - exact[n]).abs() < 1e-4 for n in differing]
    for below, tied in zip(sums, ties, strict=True):
        assert below <= bound + 1e-4
        assert below + exact[tied].sum() >= bound - 1e-4


# ------------------------------------------------------------------ stop


@given(st.integers(0, 3), st.lists(st.integers(0, 1), min_size=1, max_size=8), st.floats(0.0, 0.02))
@example(1, [0, 0], 2**-7)  # the threshold itself, which fp32 holds exactly
def test_the_stop_decision_is_the_librarys(stability: int, history: list[int], mean: float) -> None:
    logits = torch.zeros(1, 8, 5)
    confidence = 2**-7
    theirs: Any = StableAndConfidentStoppingCriteria(stability, confidence)
    drafts: list[Tensor] = []
    for value in history:
        draft = torch.zeros(8, dtype=torch.long).index_fill_(0, torch.tensor(3), value)
        drafts.append(draft)
        with patch.object(torch.distributions, "Categorical", _Library(torch.full((1, 8), mean))):
            expected = bool(theirs(draft[None], logits).item())
        fp32_mean = torch.full((8,), mean).mean()
        assert sampling.settled(drafts, stability, fp32_mean, confidence) == expected
