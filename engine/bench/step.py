"""The time of a denoising step, everything included that a draft's user waits for."""

from __future__ import annotations

import os

from engine.bench.peers import LibraryModel, has_diffusers
from engine.bench.rows import Row, row
from engine.bench.setting import OPENINGS, Setting
from engine.bench.turns import Gaps, medians, threads
from engine.events import Frame


def measure(setting: Setting) -> list[Row]:
    counts = sorted({1, os.cpu_count() or 1}) if setting.model.device.type == "cpu" else [1]
    sizes = setting.sizes
    rows = [one for count in counts for one in _compared(setting, count, sizes.steps)]
    if setting.model.precision == "fp32":
        rows += _compared(setting.at("bf16"), 1, sizes.slow_steps)
    return rows


def step_gaps(setting: Setting, before: str, steps: int) -> list[float]:
    """The milliseconds from each denoised frame to the next."""
    gaps = Gaps()
    for event in setting.draft(before, max_steps=steps, early_stop=False):
        if isinstance(event, Frame) and event.step:
            gaps.mark()
    return gaps.taken()


def _compared(setting: Setting, thread_count: int, steps: int) -> list[Row]:
    library = LibraryModel(setting)
    tokenizer = setting.model.tokenizer
    ids = tokenizer.start_ids + tokenizer.encode(OPENINGS[0])
    runs = {
        "ours": lambda: step_gaps(setting, OPENINGS[0], steps),
        "transformers generate()": lambda: library.generate(ids, steps),
    }
    if has_diffusers():
        runs["diffusers DiffusionGemmaPipeline"] = lambda: library.pipeline(ids, steps)
    with threads(thread_count):
        found = medians(runs, setting.sizes.slow_rounds)
    ours = found.pop("ours")
    where = f"{setting.model.precision}, {thread_count} thread{'s' * (thread_count > 1)}"
    return [row(f"denoising step, {where}", "ms", ours, peer, name) for name, peer in found.items()]
