"""Mean embeddings under distributions over the vocabulary, for self-conditioning."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.checkpoints.memory_estimate import LOGITS_CHUNK_BYTES, row_chunks
from engine.quantization.parted_work import weight_parts

LIKELIEST = 64
REST = 2**-10
"""Of a distribution: less than that beyond the likeliest tokens moves a mean by less than bf16 rounds it."""
LARGE_VOCAB = 2**15
"""With fewer tokens a processor multiplies in less time than it finds the likeliest."""


def mean_embeddings(
    shares: Tensor, rows: Tensor, weight: Tensor, dtype: torch.dtype, check_cancelled: Callable[[], None]
) -> Tensor:
    """shares: (all, vocab) fp32, a distribution in each row; rows: (rows,), those that are wanted; weight:
    (vocab, hidden) → (rows, hidden) in dtype.

    check_cancelled: is called before each part of the work, and may raise.
    """
    several = weight.device.type == "cpu" and len(weight) >= LARGE_VOCAB
    means = weight.new_empty(len(rows), weight.shape[1], dtype=dtype)
    far = torch.zeros_like(rows, dtype=torch.bool)
    for part in row_chunks(len(rows), shares[0].nbytes, LOGITS_CHUNK_BYTES):
        check_cancelled()
        given = shares[rows[part]]
        if several:
            top, ids = given.topk(LIKELIEST)
            means[part] = torch.einsum("rk,rkh->rh", top, weight[ids].float()).to(dtype)
            far[part] = top.sum(dim=-1) < 1 - REST
        else:
            means[part] = given.to(dtype) @ weight.to(dtype)
    if several and far.any():
        means[far] = _products(shares, rows[far], weight, dtype, check_cancelled)
    return means


def _products(
    shares: Tensor, rows: Tensor, weight: Tensor, dtype: torch.dtype, check_cancelled: Callable[[], None]
) -> Tensor:
    """Token by token of the vocabulary, so that neither the shares nor the weight is ever there twice."""
    means = weight.new_zeros(len(rows), weight.shape[1], dtype=torch.float32)
    for part in weight_parts(weight, means):
        check_cancelled()
        means += shares[rows, part].to(dtype) @ weight[part].to(dtype)
    return means.to(dtype)
