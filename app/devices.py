"""Devices as the writer reads of them, and those that the engine was not shown."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable

from engine.cards import best, card_ids, together
from engine.events import Device
from engine.nvidia import Gpu

_NOISE = re.compile(
    r"\((?:R|TM)\)|\b(?:NVIDIA|GeForce|AMD(?= Radeon)|Radeon(?= (?:RX|PRO|Pro)))\b|\bCPU\b(?=.*@)|@.*$"
    r"|\b\d+-Core Processor\b",
    re.IGNORECASE,
)


def short_name(device: Device) -> str:
    """`RTX 4090`, not `NVIDIA GeForce RTX 4090`; `2 × RTX 4090` where there are two of them."""
    names = device.name.split(" + ") if len(card_ids(device)) > 1 else [device.name]
    short = Counter(" ".join(_NOISE.sub(" ", name).split()) or name for name in names)
    return " + ".join(f"{count} × {name}" if count > 1 else name for name, count in short.items())


def choice_of(device: Device) -> str:
    """What the setting `device` says to mean this one, whatever the order it is found in."""
    return device.uuid or device.id


def chosen(
    setting: str, devices: tuple[Device, ...], fits: Callable[[Device], bool] = lambda _: True
) -> Device | None:
    """The device that the setting means, as the engine takes it; None if it is not among these. fits: what
    is to be loaded.
    """
    if setting == "auto":
        return best(devices, fits) if devices else None
    return next((device for device in devices if setting in (device.id, device.uuid)), None)


def with_hidden(devices: tuple[Device, ...], gpus: tuple[Gpu, ...]) -> tuple[Device, ...]:
    """And the NVIDIA cards that are kept from an engine which was told to use another one, as it would list
    them if it saw them all.
    """
    seen = {device.uuid: device for device in devices}
    known = sum(gpu.uuid in seen for gpu in gpus)
    if not 0 < known < len(gpus) or "CUDA_VISIBLE_DEVICES" in os.environ:  # none hidden, or on purpose
        return devices
    cards = sorted((seen.get(gpu.uuid) or _card(gpu) for gpu in gpus), key=lambda card: -card.total_bytes)
    return tuple(dict.fromkeys((*cards, *together(cards), *devices)))


def _card(gpu: Gpu) -> Device:
    return Device(
        id=gpu.uuid,
        name=gpu.name,
        total_bytes=gpu.total_bytes,
        free_bytes=gpu.free_bytes,
        uuid=gpu.uuid,
        fp8=gpu.fp8,
    )
