"""Time from the request to the first denoised frame after reading ahead."""

from __future__ import annotations

import statistics
import time

from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row, row
from engine.bench.timing import Gaps, medians
from engine.protocol.events import Frame

TARGET = 2.0


def measure(setup: BenchSetup) -> list[Row]:
    text = setup.text("A warm prefix.")
    found = medians({"ours": lambda: [_in_steps(setup, text)]}, setup.sizes.rounds)
    name = f"request to the first denoised frame, {setup.sizes.text_tokens:,} tokens read ahead"
    return [row(name, "steps", found["ours"], TARGET, "target")]


def _in_steps(setup: BenchSetup, text: str) -> float:
    setup.prepare(text)
    gaps = Gaps()
    began, waited = time.perf_counter(), 0.0
    for event in setup.draft(text, max_steps=setup.sizes.steps, early_stop=False):
        if isinstance(event, Frame) and event.step:
            waited = waited or 1000 * (time.perf_counter() - began)
            gaps.mark()
    return waited / statistics.median(gaps.taken())
