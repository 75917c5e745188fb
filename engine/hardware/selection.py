"""Which of the present devices a setting or a request means."""

from __future__ import annotations

import os
from collections.abc import Callable

from engine.hardware.device_groups import TOGETHER, best_device, card_ids, combined_device
from engine.protocol.errors import FaultError
from engine.protocol.events import Device


def resolve_device(
    device_id: str, present: tuple[Device, ...], fits: Callable[[Device], bool] = lambda _: True
) -> Device:
    """device_id: `auto`, an id, or a UUID or what one alone begins with. `auto`: the best one there is, or
    all cards together if the model fits these alone.

    Raises device-missing; another device is never taken instead.
    """
    if device_id == "auto":
        return best_device(present, fits)
    wanted = {"cuda": "cuda:0", "xpu": "xpu:0", "mps:0": "mps"}.get(device_id, device_id)
    alone = TOGETHER not in wanted
    found = [
        device
        for device in present
        if wanted == device.id
        or (wanted and device.uuid.startswith(wanted) and (alone == (len(card_ids(device)) == 1)))
    ]
    if len(found) == 1:
        return found[0]
    from engine.hardware.torch_devices import idle_card  # the app knows devices without torch

    here = ", ".join(f"{device.name} ({device.id})" for device in present)
    raise FaultError(
        "device-missing",
        f"Several devices here have a UUID that begins with “{device_id}”."
        if found
        else f"There is no device “{device_id}” here.",
        f"Choose {here}, or let Mezzotint choose (auto)." + (f" {fault}" if (fault := idle_card()) else ""),
    )


def device_setting(device: Device) -> str:
    """What the setting `device` says to mean this one, whatever the order it is found in."""
    return device.uuid or device.id


def device_named(
    setting: str, devices: tuple[Device, ...], fits: Callable[[Device], bool] = lambda _: True
) -> Device | None:
    """The device that the setting means, as the engine takes it; None if it is not among these. fits: what
    is to be loaded.
    """
    if setting == "auto":
        return best_device(devices, fits) if devices else None
    return next((device for device in devices if setting in (device.id, device.uuid)), None)


def with_hidden(devices: tuple[Device, ...], gpus: tuple[Device, ...]) -> tuple[Device, ...]:
    """And the NVIDIA cards that are kept from an engine which was told to use another one, as it would list
    them if it saw them all.
    """
    seen = {device.uuid: device for device in devices}
    known = sum(gpu.uuid in seen for gpu in gpus)
    if not 0 < known < len(gpus) or "CUDA_VISIBLE_DEVICES" in os.environ:  # none hidden, or on purpose
        return devices
    cards = sorted((seen.get(gpu.uuid, gpu) for gpu in gpus), key=lambda card: -card.total_bytes)
    return tuple(dict.fromkeys((*cards, *combined_device(cards), *devices)))
