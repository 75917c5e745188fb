"""How likely texts are to a model: token by token under its causal encoder, word by word in a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from engine.checkpoints.memory_estimate import LOGITS_CHUNK_BYTES, row_chunks
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.kv_cache import fork_cache, roll_back_cache

QUARTERS = 4
"""Parts of a passage that are noise in turn while the likelihood of their words is asked for."""


@torch.inference_mode()
def causal(
    model: DiffusionGemma, cache: DynamicCache, last_id: int, texts: Sequence[list[int]]
) -> list[Tensor]:
    """Nats of each token of each text, (tokens,) on the CPU, predicted from all before it, in one pass.

    cache: what stands before the texts, last_id the last of it; it is not written.
    """
    count, longest = cache.get_seq_length() - 1, max(map(len, texts))
    read = fork_cache(cache)
    if not count or not roll_back_cache(read, count):
        read, count = model.new_cache(), 0
    for layer in list[Any](read.layers) if count else []:
        layer.keys = layer.keys.expand(len(texts), -1, -1, -1)
        layer.values = layer.values.expand(len(texts), -1, -1, -1)
    rows = [[last_id, *ids[:-1]] + [model.pad_id] * (longest - len(ids)) for ids in texts]
    hidden = model.text_model.model.encoder.language_model(
        input_ids=torch.tensor(rows, device=model.device),
        past_key_values=read,
        position_ids=torch.arange(count, count + longest, device=model.device).expand(len(texts), -1),
    ).last_hidden_state
    told = torch.cat([row[: len(ids)] for row, ids in zip(hidden, texts, strict=True)])
    ids = torch.tensor([index for text in texts for index in text], device=model.device)
    return list(torch.split(_log_likelihood(model, told, ids).cpu(), [len(text) for text in texts]))


@torch.inference_mode()
def of_words(
    model: DiffusionGemma,
    cache: DynamicCache,
    canvas: list[int],
    words: Sequence[range],
    generator: torch.Generator,
) -> list[float]:
    """Mean nats a token of each word, given the rest of the canvas. words: their positions.

    Each quarter of the words is noise in turn, in one batch of canvases.
    """
    ids = torch.tensor(canvas).repeat(QUARTERS, 1)
    noise = torch.randint(model.vocab_size, (len(canvas),), generator=generator)
    places, known = [], []
    for number, word in enumerate(words):
        row = number % QUARTERS
        ids[row, word.start : word.stop] = noise[word.start : word.stop]
    order = sorted(range(len(words)), key=lambda number: (number % QUARTERS, number))
    for number in order:
        begins = number % QUARTERS * len(canvas)
        places += [begins + position for position in words[number]]
        known += [canvas[position] for position in words[number]]
    canvases = model.open_canvases([cache] * QUARTERS, len(canvas))
    logits = model.denoise(canvases, ids.to(model.device), None, torch.tensor(places, device=model.device))
    told = _chosen(logits, torch.tensor(known, device=model.device)).cpu()
    parts = torch.split(told, [len(words[number]) for number in order])
    means = dict(zip(order, (part.mean().item() for part in parts), strict=True))
    return [means[number] for number in range(len(words))]


def _log_likelihood(model: DiffusionGemma, hidden: Tensor, ids: Tensor) -> Tensor:
    """hidden: (tokens, hidden), of the encoder; ids: (tokens,), what comes next → (tokens,) nats."""
    text, told = model.text_model, torch.empty(len(ids), device=model.device)
    cap = text.final_logit_softcapping
    for rows in row_chunks(len(ids), 4 * model.vocab_size, LOGITS_CHUNK_BYTES):
        told[rows] = _chosen(torch.tanh(text.lm_head(hidden[rows]).float() / cap) * cap, ids[rows])
    return told


def _chosen(logits: Tensor, ids: Tensor) -> Tensor:
    """logits: (rows, vocab); ids: (rows,) → (rows,) nats."""
    return logits.gather(-1, ids[:, None]).squeeze(-1) - logits.logsumexp(dim=-1)
