"""Overhead of a step: what is not the network (sampler, texts, encoding of events)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from engine.bench.bench_setup import OPENINGS, BenchSetup
from engine.bench.report import Row, row
from engine.bench.timing import medians
from engine.protocol import codec, events

TARGET = 15.0


def measure(setup: BenchSetup) -> list[Row]:
    found = medians({"ours": lambda: [_share(setup)]}, setup.sizes.rounds)
    return [row("share of a step that is not the network", "%", found["ours"], TARGET, "target")]


def _share(setup: BenchSetup) -> float:
    """In percent of the time from the first step's beginning to the last frame's encoding."""
    network = _Clock()
    model, sizes = setup.model, setup.sizes
    with (
        mock.patch.object(model, "denoise", network.timing(model.denoise)),
        mock.patch.object(model, "soft_embedding", network.timing(model.soft_embedding)),
    ):
        began = 0.0
        for event in setup.draft(OPENINGS[0], max_steps=sizes.steps, early_stop=False):
            codec.encode(event)
            if isinstance(event, events.Frame):
                ended = time.perf_counter()
                began = began or ended  # with frame 0 the first step begins
    return 100 * (1 - network.seconds / (ended - began))


class _Clock:
    """The time spent in some functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.perf_counter() - began

        return timed
