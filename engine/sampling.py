"""Pure tensor functions of the entropy-bound sampler: temperature, distribution, accept, sample, stop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import EngineError


@dataclass(frozen=True)
class Prediction:
    """probabilities: (canvas, vocab) fp32; entropy: (canvas,) in nats; draft: (canvas,) its argmax."""

    probabilities: Tensor
    entropy: Tensor
    draft: Tensor


def temperature(t_min: float, t_max: float, steps_left: int, max_steps: int) -> float:
    """Linear from t_max towards t_min; steps_left counts max_steps … 1."""
    return t_min + (t_max - t_min) * (steps_left / max_steps)


def predict(logits: Tensor, tau: float) -> Prediction:
    """logits: (canvas, vocab) fp32, overwritten. −inf is legal; NaN, +inf or nothing finite in a row raise.

    Entropy comes from the one softmax: with d = z − max z it is −ln p(draft) − Σ p·d, which stays exact where
    one token has all the probability.
    """
    top, draft = logits.max(dim=-1, keepdim=True)
    if not torch.isfinite(top).all():
        raise EngineError(
            "output",
            "The model's output is not a number.",
            "Try again, or choose another device or precision in the settings.",
        )
    # p is 0 at −1e4 too, and 0 · −1e4 is 0 where 0 · −inf is not a number.
    shifted = logits.sub_(top).div_(tau).clamp_(min=-1e4)
    probabilities = shifted.softmax(dim=-1)
    log_total = -probabilities.gather(-1, draft).squeeze(-1).log()
    entropy = (log_total - torch.linalg.vecdot(probabilities, shifted)).clamp_(min=0.0)
    return Prediction(probabilities, entropy, draft.squeeze(-1))


def pin(prediction: Prediction, pinned: Tensor, ids: Tensor) -> Prediction:
    """Force the rows of pinned positions one-hot. pinned: (canvas,) bool; ids: (canvas,)."""
    probabilities = prediction.probabilities
    probabilities[pinned] = 0.0
    probabilities[pinned, ids[pinned]] = 1.0
    return Prediction(
        probabilities,
        prediction.entropy.masked_fill(pinned, 0.0),
        torch.where(pinned, ids, prediction.draft),
    )


def accept(entropy: Tensor, bound: float) -> Tensor:
    """The positions to accept, at least one free one. entropy: (canvas,). arXiv 2505.24857, section 3."""
    ascending, order = torch.sort(entropy, stable=True)
    within = torch.cumsum(ascending, dim=-1) - ascending <= bound
    return torch.zeros_like(within).scatter(-1, order, within)


def sample(probabilities: Tensor, rows: Tensor, uniform: Tensor) -> Tensor:
    """One id for each row of the index `rows`, by inverse CDF. uniform: a number in [0, 1) for each."""
    cdf = probabilities.index_select(0, rows).cumsum(dim=-1)
    # The first entry above the threshold has p > 0, so a forbidden token is never drawn.
    threshold = uniform[:, None] * cdf[:, -1:]
    return torch.searchsorted(cdf, threshold, right=True).squeeze(-1).clamp_(max=cdf.shape[-1] - 1)


def settled(drafts: list[Tensor], stability: int, mean_entropy: float, confidence: float) -> bool:
    """Whether the last draft equals the `stability` drafts before it and the free positions are certain."""
    if mean_entropy >= confidence or len(drafts) <= stability:
        return False
    return all(torch.equal(drafts[-1], earlier) for earlier in drafts[-1 - stability : -1])
