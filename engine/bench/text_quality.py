"""What a text took, drafted or decoded one token at a time, and how likely it is to the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.bench.bench_setup import BenchSetup
from engine.model.diffusion_gemma import DiffusionGemma
from engine.protocol.events import Finished, Frame
from engine.text import prompt


@dataclass(frozen=True)
class Written:
    """seconds: with the opening read; text_tokens: before the end token; passes: through the network, without
    the opening's; entropy: the mean of a draft's last frame, in nats; log_probability: of the text's tokens.
    """

    seconds: float
    text_tokens: int
    passes: int
    entropy: float
    log_probability: float


def drafted(setup: BenchSetup, before: str, **sampling: Any) -> Written:
    """One canvas, as the app drafts it."""
    entropy = 0.0
    for event in setup.draft(before, **sampling):
        if isinstance(event, Frame):
            entropy = sum(token.entropy for token in event.tokens) / len(event.tokens)
        elif isinstance(event, Finished):
            stats, text = event.stats, event.text
    judged = mean_log_probability(setup.model, _read(setup, before), setup.model.tokenizer.encode(text))
    return Written(stats.prefill_s + stats.denoise_s, stats.tokens, stats.steps, entropy, judged)


def decoded(setup: BenchSetup, before: str, decode: Callable[[list[int], int], list[int]]) -> Written:
    """As many tokens as a canvas has, what follows an end token included."""
    model, given = setup.model, _read(setup, before)
    began = time.perf_counter()
    ids = decode(given, model.canvas_tokens)
    seconds = time.perf_counter() - began
    tokens = next((n for n, index in enumerate(ids) if index in model.end_ids), len(ids))
    text = "".join(model.detokenizer.texts(ids[:tokens])[0])
    judged = mean_log_probability(model, given, model.tokenizer.encode(text))
    return Written(seconds, tokens, len(ids), 0.0, judged)


def _read(setup: BenchSetup, before: str) -> list[int]:
    model = setup.model
    return prompt.build_prompt(model.tokenizer, before, "", "", model.default_context_tokens).ids


@torch.inference_mode()
def mean_log_probability(model: DiffusionGemma, before: list[int], ids: list[int]) -> float:
    """Nats per token of ids, each predicted from `before` and the ids before it."""
    hidden = model.prefill(model.new_cache(), before + ids)[0, len(before) - 1 : -1]
    text = model.text_model
    cap = text.final_logit_softcapping
    scores: Tensor = torch.tanh(text.lm_head(hidden).float() / cap) * cap
    chosen = torch.tensor(ids, device=model.device)[:, None]
    return scores.log_softmax(dim=-1).gather(-1, chosen).mean().item()
