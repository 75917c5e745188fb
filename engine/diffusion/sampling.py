"""Tensor functions of the entropy-bound sampler: temperature, distribution, accept, sample, stop.

A row is one position of one canvas. What is as large as the logits is worked on in chunks of rows and in
place, so that there is never a second copy of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.checkpoints.memory_estimate import LOGITS_CHUNK_BYTES, row_chunks

CACHE_BYTES = 2**21  # a chunk that a processor's cache holds
LOWEST = -1e4  # exp() of it is 0; 0 · −inf would not be a number


@dataclass(frozen=True)
class Prediction:
    """probabilities: (rows, vocab) fp32, in the logits' memory; of each row (rows,) fp32: entropy in nats,
    draft, the argmax's id, and its probability top. Where the model's output was no number, entropy is none.
    """

    probabilities: Tensor
    entropy: Tensor
    draft: Tensor
    top: Tensor


def temperature(t_min: float, t_max: float, steps_left: int, max_steps: int) -> float:
    """Linear from t_max towards t_min; steps_left counts max_steps … 1."""
    return t_min + (t_max - t_min) * (steps_left / max_steps)


def predict(logits: Tensor, tau: float, check_cancelled: Callable[[], None] = lambda: None) -> Prediction:
    """logits: (rows, vocab) fp32, overwritten. −inf is legal; NaN, +inf or nothing finite in a row are told.
    check_cancelled: is called before each chunk of rows, and may raise.

    Entropy comes from the one softmax: with d = (z − max z) / τ it is −ln p(draft) − Σ p·d, which stays exact
    where one token has all the probability. Over a large vocabulary a softmax adds up to as much as 1.001,
    which is divided out.
    """
    entropy, draft, top = (logits.new_empty(len(logits)) for _ in range(3))
    chunk_bytes = CACHE_BYTES if logits.device.type == "cpu" else LOGITS_CHUNK_BYTES
    for rows in row_chunks(len(logits), logits[0].nbytes, chunk_bytes):
        check_cancelled()
        scores = logits[rows]
        best = _argmax(scores)[:, None]
        scores.sub_(scores.gather(-1, best)).div_(tau).clamp_(min=LOWEST)
        probabilities = scores.softmax(dim=-1)
        total = probabilities.sum(dim=-1)
        highest = probabilities.gather(-1, best).squeeze(-1) / total
        entropy[rows] = (-highest.log() - torch.linalg.vecdot(probabilities, scores) / total).clamp_(min=0.0)
        draft[rows] = best.squeeze(-1).to(draft.dtype)
        top[rows] = highest
        torch.div(probabilities, total[:, None], out=scores)
    return Prediction(logits, entropy, draft, top)


def accept(entropy: Tensor, bound: float) -> Tensor:
    """The positions to accept in each canvas, at least one free one. entropy: (batch, canvas).

    Rule: arXiv 2505.24857, section 3.
    """
    ascending, order = torch.sort(entropy, stable=True)
    within = torch.cumsum(ascending, dim=-1) - ascending <= bound
    return torch.zeros_like(within).scatter(-1, order, within)


def sample_beyond_draft(
    prediction: Prediction, rows: Tensor, uniform: Tensor, check_cancelled: Callable[[], None] = lambda: None
) -> Tensor:
    """One id for each of `rows` by inverse CDF, where the draft comes first in the order of tokens.

    uniform: one number in [top, 1) for each row: below top it falls on the draft, and no row has to be read.
    """
    row_bytes = prediction.probabilities[0].nbytes
    drawn = torch.empty_like(rows)
    for part in row_chunks(len(rows), row_bytes, LOGITS_CHUNK_BYTES):
        check_cancelled()
        drawn[part] = _beyond_draft(prediction, rows[part], uniform[part])
    return drawn


def _beyond_draft(prediction: Prediction, rows: Tensor, uniform: Tensor) -> Tensor:
    cdf = prediction.probabilities.index_select(0, rows)
    draft = prediction.draft.index_select(0, rows).long()[:, None]
    cdf = cdf.scatter_(-1, draft, 0.0).cumsum_(dim=-1)
    last = cdf[:, -1:]
    threshold = (uniform - prediction.top.index_select(0, rows))[:, None].clamp_(min=0.0)
    # The first entry above the threshold has p > 0, so a forbidden token is never drawn; what rounding leaves
    # above the last entry falls below it.
    threshold = torch.minimum(threshold, torch.nextafter(last, torch.zeros_like(last)))
    drawn = torch.searchsorted(cdf, threshold, right=True)
    return torch.where(last > 0, drawn, draft).squeeze(-1)


def settled(drafts: Sequence[Tensor], stability: int, mean_entropy: Tensor, confidence: float) -> Tensor:
    """Whether the last draft equals the `stability` drafts before it and the free positions are certain.

    drafts: (batch, canvas) each; mean_entropy: (batch,), as confidence in nats → (batch,).
    """
    certain = mean_entropy < confidence
    if len(drafts) <= stability:
        return torch.zeros_like(certain)
    for earlier in drafts[-1 - stability : -1]:
        certain &= (drafts[-1] == earlier).all(dim=-1)
    return certain


def _argmax(scores: Tensor) -> Tensor:
    """The first of the largest, as argmax; on a processor max() is vectorised and argmax() is not."""
    rows, vocab = scores.shape
    width = next((width for width in (512, 64) if vocab % width == 0), 0)
    if not width or scores.device.type != "cpu":
        return scores.argmax(dim=-1)
    blocks = scores.view(rows, -1, width)
    block = blocks.amax(dim=-1).argmax(dim=-1)
    return block * width + blocks[torch.arange(rows), block].argmax(dim=-1)
