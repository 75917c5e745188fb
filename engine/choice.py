"""Which device, precision and placement a load comes to."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import torch

from engine import hardware, plans, quantise
from engine.cards import card_ids
from engine.errors import EngineError
from engine.events import Device, LoadRequest
from engine.placement import Placement
from engine.plans import Precision


def choose(
    request: LoadRequest, folder: Path, present: tuple[Device, ...]
) -> tuple[Device, Precision, Placement]:
    """Raises device-missing, and input for a precision that there is not."""
    asked = _asked_precision(request.precision)

    def fits(device: Device) -> bool:
        return plans.has_room(_needed_bytes(folder, device), request.precision, device)

    device = hardware.resolve(request.device, present, fits)
    precision = asked or hardware.best_precision(device, _needed_bytes(folder, device))
    return device, precision, _placement(folder, precision, device, present)


def _asked_precision(asked: str) -> Precision | None:
    """None for `auto`."""
    precisions: tuple[Precision, ...] = get_args(Precision)
    if asked != "auto" and asked not in precisions:
        choices = ", ".join(precisions)
        raise EngineError("input", f"There is no precision “{asked}”.", f"Choose auto or one of: {choices}.")
    return next((precision for precision in precisions if precision == asked), None)


def _needed_bytes(folder: Path, device: Device) -> dict[Precision, int]:
    packed = quantise.packed_precision(folder)
    return plans.load_bytes(plans.read_shape(folder), device, (packed,) if packed else plans.LOADABLE)


def _placement(folder: Path, precision: Precision, device: Device, present: tuple[Device, ...]) -> Placement:
    ids = card_ids(device)
    devices = [torch.device(card) for card in ids]
    if len(ids) == 1:
        return Placement(devices)
    shape, by_id = plans.read_shape(folder), {card.id: card for card in present}
    usable = [plans.usable_bytes(by_id[card]) for card in ids]
    return Placement(devices, plans.share_layers(shape, precision, plans.default_context(shape), usable))
