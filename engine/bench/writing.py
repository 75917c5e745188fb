"""One text after an opening, drafted or decoded one token at a time: what it took and how good it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine import prompt
from engine.bench.likelihood import mean_log_probability
from engine.bench.setting import Setting
from engine.events import Finished, Frame
from engine.pieces import Pieces


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


def drafted(setting: Setting, before: str, **fields: Any) -> Written:
    """One canvas, as the app drafts it."""
    entropy = 0.0
    for event in setting.draft(before, **fields):
        if isinstance(event, Frame):
            entropy = sum(token.entropy for token in event.tokens) / len(event.tokens)
        elif isinstance(event, Finished):
            stats, text = event.stats, event.text
    judged = mean_log_probability(setting.model, _read(setting, before), setting.model.tokenizer.encode(text))
    return Written(stats.prefill_s + stats.denoise_s, stats.tokens, stats.steps, entropy, judged)


def decoded(setting: Setting, before: str, decode: Callable[[list[int], int], list[int]]) -> Written:
    """As many tokens as a canvas has, what follows an end token included."""
    model, given = setting.model, _read(setting, before)
    began = time.perf_counter()
    ids = decode(given, model.canvas_tokens)
    seconds = time.perf_counter() - began
    tokens = next((n for n, index in enumerate(ids) if index in model.end_ids), len(ids))
    text = "".join(Pieces(model.tokenizer.data).texts(ids[:tokens])[0])
    judged = mean_log_probability(model, given, model.tokenizer.encode(text))
    return Written(seconds, tokens, len(ids), 0.0, judged)


def _read(setting: Setting, before: str) -> list[int]:
    model = setting.model
    return prompt.build(model.tokenizer, before, "", "", model.default_context_tokens).ids
