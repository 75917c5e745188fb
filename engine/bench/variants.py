"""Four variants in one batch against one."""

from __future__ import annotations

from engine.bench.bench_setup import OPENINGS, BenchSetup
from engine.bench.report import Row, row
from engine.bench.timing import medians, milliseconds

VARIANTS = 4
TARGET = 2.5


def measure(setup: BenchSetup) -> list[Row]:
    def drafted(variants: int) -> list[float]:
        steps = setup.sizes.steps
        draft = setup.draft(OPENINGS[0], variants=variants, max_steps=steps, early_stop=False)
        return milliseconds(lambda: list(draft))

    found = medians({"one": lambda: drafted(1), "four": lambda: drafted(VARIANTS)}, setup.sizes.slow_rounds)
    return [
        row(f"{VARIANTS} variants, {setup.sizes.steps} steps", "ms", found["four"], found["one"], "one"),
        row(f"{VARIANTS} variants in times of one", "×", found["four"] / found["one"], TARGET, "target"),
    ]
