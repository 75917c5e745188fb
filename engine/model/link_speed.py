"""Measure how fast main memory is copied to a card."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from engine.hardware.device_groups import card_ids
from engine.model.expert_stream import STAGING_BYTES, STAGINGS, CardLink, Link
from engine.protocol.errors import FaultError
from engine.protocol.events import Device

SECONDS = 1.5
"""With what is copied then still under way it stays below two."""
SOURCES = 8
"""Chunks that are copied in turn: more than a processor's caches hold."""


def measure_card(device: Device, check_cancelled: Callable[[], None] = lambda: None) -> int:
    """Bytes a second. Raises input for what is no single CUDA card."""
    if not device.id.startswith("cuda") or len(card_ids(device)) > 1:
        raise FaultError(
            "input", f"{device.name} is no single CUDA card.", "Choose one of the cards, such as cuda:0."
        )
    return measure_link(CardLink(torch.device(device.id)), check_cancelled)


def measure_link(
    link: Link, check_cancelled: Callable[[], None], clock: Callable[[], float] = time.perf_counter
) -> int:
    """Bytes a second, by the way that streamed experts take. check_cancelled: is called between two chunks,
    and may raise.
    """
    start = clock()
    sources = [torch.ones(STAGING_BYTES, dtype=torch.uint8) for _ in range(SOURCES)]
    room = [link.empty(sources[0])]

    def copy(number: int) -> object:
        check_cancelled()
        return link.copy(room, [sources[number % SOURCES]], None)

    for number in range(STAGINGS):  # the first ones take longer
        link.finish(copy(number))
    begin, count = clock(), 0
    while count == 0 or clock() - start < SECONDS:
        last = copy(count)
        count += 1
    link.finish(last)
    return round(count * STAGING_BYTES / (clock() - begin))
