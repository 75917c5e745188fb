"""What a writer waits for: a denoising step, the prompt, the first frame, several variants."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import torch

from engine.bench.baselines import LibraryModel, has_diffusers
from engine.bench.bench_setup import OPENINGS, BenchSetup
from engine.bench.report import Row, row
from engine.bench.timing import gaps, medians, milliseconds
from engine.protocol import codec
from engine.protocol.events import DraftEvent, Frame, Prefilled

VARIANTS = 4


def step(setup: BenchSetup) -> list[Row]:
    """The time of a denoising step, on one thread and on all, and in bf16."""
    counts = sorted({1, os.cpu_count() or 1}) if setup.model.device.type == "cpu" else [1]
    rows = [one for count in counts for one in _steps(setup, count, setup.sizes.steps)]
    if setup.model.precision == "fp32":
        rows += _steps(setup.at("bf16"), 1, setup.sizes.slow_steps)
    return rows


def _steps(setup: BenchSetup, threads: int, steps: int) -> list[Row]:
    library, ids = LibraryModel(setup), setup.prompt_ids(OPENINGS[0])
    runs: dict[str, Callable[[], list[float]]] = {
        "ours": lambda: gaps(_frame_times(setup.draft(OPENINGS[0], max_steps=steps, early_stop=False))),
        "transformers generate()": lambda: library.generate(ids, steps),
    }
    if has_diffusers():
        runs["diffusers DiffusionGemmaPipeline"] = lambda: library.pipeline(ids, steps)
    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = medians(runs, setup.sizes.slow_rounds)
    finally:
        torch.set_num_threads(usual)
    ours = found.pop("ours")
    where = f"{setup.model.precision}, {threads} thread{'s' * (threads > 1)}"
    return [row(f"denoising step, {where}", "ms", ours, peer, name) for name, peer in found.items()]


def _frame_times(events: Iterable[DraftEvent]) -> list[float]:
    """When each denoised frame came, in seconds."""
    return [time.perf_counter() for event in events if isinstance(event, Frame) and event.step]


def share(setup: BenchSetup) -> list[Row]:
    """What of a step is not the network: sampler, texts, encoding of events."""
    found = medians({"ours": lambda: [_overhead_percent(setup)]}, setup.sizes.rounds)
    return [row("share of a step that is not the network", "%", found["ours"], 15.0, "target")]


def _overhead_percent(setup: BenchSetup) -> float:
    """Of the time from the first step's beginning to the last frame's encoding."""
    model, network_s, ends = setup.model, list[float](), list[float]()

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                network_s.append(time.perf_counter() - began)

        return call

    with (
        mock.patch.object(model, "denoise", timed(model.denoise)),
        mock.patch.object(model, "soft_embedding", timed(model.soft_embedding)),
    ):
        for event in setup.draft(OPENINGS[0], max_steps=setup.sizes.steps, early_stop=False):
            codec.encode(event)
            if isinstance(event, Frame):  # with frame 0 the first step begins
                ends.append(time.perf_counter())
    return 100 * (1 - sum(network_s) / (ends[-1] - ends[0]))


def prefill(setup: BenchSetup) -> list[Row]:
    """Reading a long text cold, and again after a few words were appended."""
    numbers = itertools.count(1)  # each round reads a text that was never read before
    texts: list[str] = []
    reads: list[Prefilled] = []

    def read(text: str) -> list[float]:
        texts.append(text)
        drafting = setup.draft(text)
        reads.append(next(event for event in drafting if isinstance(event, Prefilled)))
        drafting.close()
        return [1000 * reads[-1].prefill_s]

    found = medians(
        {
            "cold": lambda: read(setup.text(f"Letter {next(numbers)}.")),
            "warm": lambda: read(setup.longer(texts[-1])),
        },
        setup.sizes.rounds,
    )
    total, reused = reads[-1].prompt_tokens, reads[-1].reused_tokens
    size = f"{setup.sizes.text_tokens:,} tokens, {setup.sizes.added_tokens} appended"
    return [
        row(f"prefill of {size}", "ms", found["warm"], found["cold"], "cold, before they were appended"),
        row(f"prefill of {size}: read anew", "tokens", total - reused, total, "cold"),
    ]


def first_frame(setup: BenchSetup) -> list[Row]:
    """From the request to the first denoised frame after reading ahead, in times of a step."""
    text = setup.text("A warm prefix.")

    def waited_steps() -> list[float]:
        setup.prepare(text)
        began = time.perf_counter()
        times = _frame_times(setup.draft(text, max_steps=setup.sizes.steps, early_stop=False))
        return [1000 * (times[0] - began) / statistics.median(gaps(times))]

    found = medians({"ours": waited_steps}, setup.sizes.rounds)
    name = f"request to the first denoised frame, {setup.sizes.text_tokens:,} tokens read ahead"
    return [row(name, "steps", found["ours"], 2.0, "target")]


def variants(setup: BenchSetup) -> list[Row]:
    """Four variants in one batch against one."""
    steps = setup.sizes.steps

    def drafted(count: int) -> list[float]:
        draft = setup.draft(OPENINGS[0], variants=count, max_steps=steps, early_stop=False)
        return milliseconds(lambda: list(draft))

    found = medians({"one": lambda: drafted(1), "four": lambda: drafted(VARIANTS)}, setup.sizes.slow_rounds)
    return [
        row(f"{VARIANTS} variants, {steps} steps", "ms", found["four"], found["one"], "one"),
        row(f"{VARIANTS} variants in times of one", "×", found["four"] / found["one"], 2.5, "target"),
    ]
