"""Time alternately, so that what else the machine does falls on both sides."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Mapping


def medians(runs: Mapping[str, Callable[[], Iterable[float]]], rounds: int) -> dict[str, float]:
    """Of all that each run gave in `rounds` rounds; one round before them warms up."""
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            given = list(run())
            if turn:
                figures[name] += given
    return {name: statistics.median(given) for name, given in figures.items()}


def milliseconds(run: Callable[[], object]) -> list[float]:
    """How long it takes."""
    began = time.perf_counter()
    run()
    return gaps([began, time.perf_counter()])


def gaps(times: Iterable[float]) -> list[float]:
    """The milliseconds between one time, in seconds, and the next."""
    return [1000 * (later - earlier) for earlier, later in itertools.pairwise(times)]
