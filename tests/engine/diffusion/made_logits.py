"""Logits of every kind, and what is exactly to be said of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.diffusion.sampling import Prediction

GEMMA_VOCAB = 262_144
LARGEST_UNIFORM = 1 - 2**-24

seeds = st.integers(0, 2**32)
taus = st.floats(0.05, 3.0)
vocabularies = st.sampled_from([1, 2, 5, 63, 64, 99, 128, 512, 576, 1024])  # with and without whole blocks
kinds = st.lists(
    st.sampled_from(
        ["noise", "ties", "flat", "one-hot", "certain", "forbidden", "one legal", "spread", "huge spread"]
    ),
    min_size=1,
    max_size=6,
)
entropies = st.lists(st.integers(0, 10_000).map(lambda n: n / 1000), min_size=1, max_size=40)


def row_of(kind: str, vocab: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(vocab, generator=generator)
    chosen = int(torch.randint(vocab, (1,), generator=generator))
    if kind == "ties":
        return noise.mul(2).round()
    if kind == "flat":
        return torch.full((vocab,), float(noise[0]) * 10)
    if kind == "one-hot":
        return torch.zeros(vocab).index_fill_(0, torch.tensor(chosen), 1000.0)
    if kind == "certain":
        return noise.index_fill_(0, torch.tensor(chosen), 10 + 30 * float(torch.rand(1, generator=generator)))
    if kind == "forbidden":
        forbidden = torch.rand(vocab, generator=generator) < 0.7
        forbidden[chosen] = False
        return noise.masked_fill(forbidden, -math.inf)
    if kind == "one legal":
        return torch.full((vocab,), -math.inf).index_fill_(0, torch.tensor(chosen), float(noise[0]))
    return noise * {"noise": 1.0, "spread": 30.0, "huge spread": 1e30}[kind]


def rows_of(kinds: list[str], vocab: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([row_of(kind, vocab, generator) for kind in kinds])


def exact_of(logits: Tensor, tau: float) -> Any:
    return torch.distributions.Categorical(logits=logits.double() / tau)


def assert_exact(prediction: Prediction, logits: Tensor, tau: float) -> None:
    exact = exact_of(logits, tau)
    torch.testing.assert_close(prediction.probabilities, exact.probs.float(), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(prediction.entropy, exact.entropy().float(), rtol=1e-4, atol=1e-6)
    assert torch.equal(prediction.draft.long(), logits.argmax(-1))
    top = exact.probs.gather(-1, logits.argmax(-1, keepdim=True)).squeeze(-1).float()
    torch.testing.assert_close(prediction.top, top, rtol=1e-5, atol=0)
    assert prediction.entropy.min() >= 0
    assert (prediction.probabilities[logits == -math.inf] == 0).all()


class Largest(TorchDispatchMode):
    """How large the largest tensor was that came into being."""

    nbytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        given = tree_leaves((args, kwargs))
        known = {each.untyped_storage().data_ptr() for each in given if isinstance(each, Tensor)}
        for each in tree_leaves(output):
            if isinstance(each, Tensor) and each.untyped_storage().data_ptr() not in known:
                self.nbytes = max(self.nbytes, each.untyped_storage().nbytes())
        return output
