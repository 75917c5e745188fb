"""Reading a long text cold, and again after a few words were appended."""

from __future__ import annotations

import itertools

from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row, row
from engine.bench.timing import medians
from engine.protocol.events import Prefilled


def measure(setup: BenchSetup) -> list[Row]:
    numbers = itertools.count(1)  # each round reads a text that was never read before
    texts: list[str] = []
    warm_reads: list[Prefilled] = []

    def cold() -> list[float]:
        texts.append(setup.text(f"Letter {next(numbers)}."))
        return [1000 * _read(setup, texts[-1]).prefill_s]

    def warm() -> list[float]:
        warm_reads.append(_read(setup, setup.longer(texts[-1])))
        return [1000 * warm_reads[-1].prefill_s]

    found = medians({"cold": cold, "warm": warm}, setup.sizes.rounds)
    total, reused = warm_reads[-1].prompt_tokens, warm_reads[-1].reused_tokens
    size = f"{setup.sizes.text_tokens:,} tokens, {setup.sizes.added_tokens} appended"
    return [
        row(f"prefill of {size}", "ms", found["warm"], found["cold"], "cold, before they were appended"),
        row(f"prefill of {size}: read anew", "tokens", total - reused, total, "cold"),
    ]


def _read(setup: BenchSetup, before: str) -> Prefilled:
    """The draft is given up as soon as its prompt is read."""
    drafting = setup.draft(before)
    for event in drafting:
        if isinstance(event, Prefilled):
            drafting.close()
            return event
    raise AssertionError("a draft begins with its prompt")
