"""The time of a denoising step, everything included that a draft's user waits for."""

from __future__ import annotations

import os

from engine.bench.baselines import LibraryModel, has_diffusers
from engine.bench.bench_setup import OPENINGS, BenchSetup
from engine.bench.report import Row, row
from engine.bench.timing import Gaps, medians, threads
from engine.protocol.events import Frame


def measure(setup: BenchSetup) -> list[Row]:
    counts = sorted({1, os.cpu_count() or 1}) if setup.model.device.type == "cpu" else [1]
    sizes = setup.sizes
    rows = [one for count in counts for one in _compared(setup, count, sizes.steps)]
    if setup.model.precision == "fp32":
        rows += _compared(setup.at("bf16"), 1, sizes.slow_steps)
    return rows


def step_gaps(setup: BenchSetup, before: str, steps: int) -> list[float]:
    """The milliseconds from each denoised frame to the next."""
    gaps = Gaps()
    for event in setup.draft(before, max_steps=steps, early_stop=False):
        if isinstance(event, Frame) and event.step:
            gaps.mark()
    return gaps.taken()


def _compared(setup: BenchSetup, thread_count: int, steps: int) -> list[Row]:
    library = LibraryModel(setup)
    tokenizer = setup.model.tokenizer
    ids = tokenizer.start_ids + tokenizer.encode(OPENINGS[0])
    runs = {
        "ours": lambda: step_gaps(setup, OPENINGS[0], steps),
        "transformers generate()": lambda: library.generate(ids, steps),
    }
    if has_diffusers():
        runs["diffusers DiffusionGemmaPipeline"] = lambda: library.pipeline(ids, steps)
    with threads(thread_count):
        found = medians(runs, setup.sizes.slow_rounds)
    ours = found.pop("ours")
    where = f"{setup.model.precision}, {thread_count} thread{'s' * (thread_count > 1)}"
    return [row(f"denoising step, {where}", "ms", ours, peer, name) for name, peer in found.items()]
