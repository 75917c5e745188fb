"""Devices as the writer reads of them, and those that the engine was not shown."""

from __future__ import annotations

import os
import re

from engine.events import Device
from engine.nvidia import Gpu

_NOISE = re.compile(
    r"\((?:R|TM)\)|\b(?:NVIDIA|GeForce|AMD(?= Radeon)|Radeon(?= (?:RX|PRO|Pro)))\b|\bCPU\b(?=.*@)|@.*$"
    r"|\b\d+-Core Processor\b",
    re.IGNORECASE,
)


def short_name(device: Device) -> str:
    """`RTX 4090`, not `NVIDIA GeForce RTX 4090`."""
    return " ".join(_NOISE.sub(" ", device.name).split()) or device.name


def choice_of(device: Device) -> str:
    """What the setting `device` says to mean this one, whatever the order it is found in."""
    return device.uuid or device.id


def chosen(setting: str, devices: tuple[Device, ...]) -> Device | None:
    """The device that the setting means; None if it is not among these."""
    if setting == "auto":
        return devices[0] if devices else None
    return next((device for device in devices if setting in (device.id, device.uuid)), None)


def with_hidden(devices: tuple[Device, ...], gpus: tuple[Gpu, ...]) -> tuple[Device, ...]:
    """And those of the NVIDIA cards that are kept from an engine which was told to use another one."""
    if not any(device.uuid.startswith("GPU-") for device in devices):
        return devices
    hidden = [
        Device(
            id=gpu.uuid,
            name=gpu.name,
            total_bytes=gpu.total_bytes,
            free_bytes=gpu.free_bytes,
            uuid=gpu.uuid,
        )
        for gpu in gpus
        if all(gpu.uuid != device.uuid for device in devices)
    ]
    return (*devices[:-1], *hidden, devices[-1])


def idle_card(devices: tuple[Device, ...], gpus: tuple[Gpu, ...]) -> tuple[str, str] | None:
    """A message and a remedy where an NVIDIA card is here that is not among the devices of the engine."""
    hidden_on_purpose = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if not gpus or hidden_on_purpose or any(device.id.startswith("cuda") for device in devices):
        return None
    return (
        f"This computer has an NVIDIA card ({gpus[0].name}), but the installed PyTorch cannot use it.",
        "Run “python3 packaging/dev.py run” in a terminal: it installs the right build.",
    )
