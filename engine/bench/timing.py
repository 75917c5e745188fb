"""Time alternately, so that what else the machine does falls on both sides."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


def medians(runs: Mapping[str, Callable[[], Iterable[float]]], rounds: int) -> dict[str, float]:
    """Of all that each run gave in `rounds` rounds; one round before them warms up."""
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            given = list(run())
            if turn:
                figures[name] += given
    return {name: statistics.median(given) for name, given in figures.items()}


def milliseconds(run: Callable[[], Any]) -> list[float]:
    """How long it takes."""
    began = time.perf_counter()
    run()
    return [1000 * (time.perf_counter() - began)]


class Gaps:
    """The milliseconds between one mark and the next."""

    def __init__(self) -> None:
        self._marks: list[float] = []

    def mark(self) -> None:
        self._marks.append(time.perf_counter())

    def taken(self) -> list[float]:
        pairs = zip(self._marks, self._marks[1:], strict=False)
        gaps = [1000 * (later - earlier) for earlier, later in pairs]
        self._marks.clear()
        return gaps


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
