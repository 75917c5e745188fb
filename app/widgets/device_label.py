"""Short names of devices."""

from __future__ import annotations

import re
from collections import Counter

from engine.hardware.device_groups import card_ids
from engine.protocol.events import Device

_NOISE = re.compile(
    r"\((?:R|TM)\)|\b(?:NVIDIA|GeForce|AMD(?= Radeon)|Radeon(?= (?:RX|PRO|Pro)))\b|\bCPU\b(?=.*@)|@.*$"
    r"|\b\d+-Core Processor\b",
    re.IGNORECASE,
)


def device_label(device: Device) -> str:
    """`RTX 4090`, not `NVIDIA GeForce RTX 4090`; `2 × RTX 4090` where there are two of them."""
    names = device.name.split(" + ") if len(card_ids(device)) > 1 else [device.name]
    short = Counter(" ".join(_NOISE.sub(" ", name).split()) or name for name in names)
    return " + ".join(f"{count} × {name}" if count > 1 else name for name, count in short.items())
