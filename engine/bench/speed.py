"""Tokens per network pass and per second at the model's own defaults, beside autoregressive decoding."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from engine.bench.autoregressive import Autoregressive, decode_by_library
from engine.bench.baselines import LibraryModel
from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row, row
from engine.bench.text_quality import Written, decoded, drafted

BY_HAND = "autoregressive"
BY_LIBRARY = "autoregressive, by the library's encoder"


def measure(setup: BenchSetup) -> list[Row]:
    by_hand, library = Autoregressive(setup.model), LibraryModel(setup).model
    sampler, size = setup.model.sampler, setup.model.canvas_tokens
    warmth = (sampler.t_min + sampler.t_max) / 2
    sampled = f"autoregressive, temperature {warmth:g}"
    ways: dict[str, Callable[[str], Written]] = {
        "ours": lambda before: drafted(setup, before),
        BY_HAND: lambda before: decoded(setup, before, by_hand.decode),
        BY_LIBRARY: lambda before: decoded(
            setup, before, lambda ids, count: decode_by_library(library, ids, count)
        ),
        sampled: lambda before: decoded(setup, before, lambda ids, count: by_hand.decode(ids, count, warmth)),
    }
    texts: dict[str, list[Written]] = {name: [] for name in ways}
    drafted(setup, setup.sizes.openings[-1], max_steps=1)  # warms up; the next prompt is another one
    for name in (BY_HAND, BY_LIBRARY):
        ways[name](setup.sizes.openings[-1])
    for before in setup.sizes.openings:
        for name, write in ways.items():
            texts[name].append(write(before))

    passes = statistics.mean(text.passes for text in texts["ours"])
    text_tokens = statistics.mean(text.text_tokens for text in texts["ours"])
    seconds = {name: statistics.median(text.seconds for text in written) for name, written in texts.items()}
    likely = {
        name: statistics.mean(text.log_probability for text in written) for name, written in texts.items()
    }
    canvas = f"a canvas of {size}"
    return [
        row(f"network passes for {canvas}", "passes", passes, size, BY_HAND),
        row(f"tokens per network pass, {canvas}", "tokens", size / passes, 1, BY_HAND),
        row("tokens per network pass, before the end token", "tokens", text_tokens / passes, 1, BY_HAND),
        *(
            row(
                f"tokens per second, {canvas}", "tokens/s", size / seconds["ours"], size / seconds[name], name
            )
            for name in (BY_HAND, BY_LIBRARY)
        ),
        row(
            "tokens per second, before the end token",
            "tokens/s",
            text_tokens / seconds["ours"],
            size / seconds[BY_HAND],
            BY_HAND,
        ),
        *(
            row("log-probability per token", "nats", likely["ours"], likely[name], name)
            for name in (BY_HAND, sampled)
        ),
    ]
