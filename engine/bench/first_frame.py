"""From the request to the first denoised frame, where the writer's pause was used to read ahead."""

from __future__ import annotations

import statistics
import time

from engine.bench.rows import Row, row
from engine.bench.setting import Setting
from engine.bench.turns import Gaps, medians
from engine.events import Frame

TARGET = 2.0


def measure(setting: Setting) -> list[Row]:
    text = setting.text("A warm prefix.")
    found = medians({"ours": lambda: [_in_steps(setting, text)]}, setting.sizes.rounds)
    name = f"request to the first denoised frame, {setting.sizes.text_tokens:,} tokens read ahead"
    return [row(name, "steps", found["ours"], TARGET, "target")]


def _in_steps(setting: Setting, text: str) -> float:
    setting.prepare(text)
    gaps = Gaps()
    began, waited = time.perf_counter(), 0.0
    for event in setting.draft(text, max_steps=setting.sizes.steps, early_stop=False):
        if isinstance(event, Frame) and event.step:
            waited = waited or 1000 * (time.perf_counter() - began)
            gaps.mark()
    return waited / statistics.median(gaps.taken())
