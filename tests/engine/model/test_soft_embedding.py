"""Mean embeddings under distributions over a large vocabulary."""

from __future__ import annotations

import pytest
import torch

from engine.model.soft_embedding import LARGE_VOCAB, LIKELIEST, mean_embeddings


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sharpness", [0.0, 3.0, 8.0, 40.0])
def test_means_over_a_large_vocabulary_differ_by_less_than_bf16_rounds(
    dtype: torch.dtype, sharpness: float
) -> None:
    """From flat distributions, which need all tokens, to those that a few tokens make up."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(70, LARGE_VOCAB, generator=generator) * sharpness
    shares = scores.softmax(dim=-1)
    weight = torch.randn(LARGE_VOCAB, 24, generator=generator).bfloat16()
    rows = torch.tensor([3, 69, 0, 31, 64])
    expected = shares[rows].double() @ weight.double()
    means = mean_embeddings(shares, rows, weight, dtype, lambda: None)
    assert means.dtype == dtype
    rounding = 2**-8 if dtype == torch.bfloat16 else 2**-9
    off = (means.double() - expected).norm(dim=-1)
    assert (off <= rounding * weight.double().norm(dim=-1).max()).all()
    if not sharpness:
        assert shares.topk(LIKELIEST).values.sum(dim=-1).max() < 0.1  # the likeliest alone would be far off


def test_the_work_can_be_broken_off() -> None:
    shares = torch.full((2, LARGE_VOCAB), 1 / LARGE_VOCAB)

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        mean_embeddings(shares, torch.tensor([0]), torch.zeros(LARGE_VOCAB, 2), torch.float32, stop)


def test_no_rows_have_no_means() -> None:
    means = mean_embeddings(
        torch.ones(1, LARGE_VOCAB),
        torch.tensor([], dtype=torch.long),
        torch.ones(LARGE_VOCAB, 2),
        torch.float32,
        lambda: None,
    )
    assert means.shape == (0, 2)
