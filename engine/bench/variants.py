"""Four variants in one batch against one."""

from __future__ import annotations

from engine.bench.rows import Row, row
from engine.bench.setting import OPENINGS, Setting
from engine.bench.turns import medians, milliseconds

VARIANTS = 4
TARGET = 2.5


def measure(setting: Setting) -> list[Row]:
    def drafted(variants: int) -> list[float]:
        steps = setting.sizes.steps
        draft = setting.draft(OPENINGS[0], variants=variants, max_steps=steps, early_stop=False)
        return milliseconds(lambda: list(draft))

    found = medians({"one": lambda: drafted(1), "four": lambda: drafted(VARIANTS)}, setting.sizes.slow_rounds)
    return [
        row(f"{VARIANTS} variants, {setting.sizes.steps} steps", "ms", found["four"], found["one"], "one"),
        row(f"{VARIANTS} variants in times of one", "×", found["four"] / found["one"], TARGET, "target"),
    ]
