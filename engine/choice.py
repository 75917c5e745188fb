"""Which device, precision and placement a load comes to."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import torch

from engine import hardware, plans
from engine.cards import card_ids
from engine.catalogue import packed_precision
from engine.errors import EngineError
from engine.events import Device, LoadRequest
from engine.placement import Placement
from engine.plans import Precision


def choose(
    request: LoadRequest, folder: Path, present: tuple[Device, ...]
) -> tuple[Device, Precision, Placement]:
    """Raises device-missing, and input for a precision that there is not."""
    asked = _asked_precision(request.precision)
    shape, packed = plans.read_shape(folder), packed_precision(folder)
    context = plans.planned_context(shape, request.context_tokens)
    loadable = (packed,) if packed else ()

    def fits(device: Device) -> bool:
        return plans.has_room(shape, request.precision, device, context, loadable)

    device = hardware.resolve(request.device, present, fits)
    precision = asked or plans.best_precision(device, plans.load_bytes(shape, device, context, loadable))
    return device, precision, _placement(shape, precision, context, device, present)


def _asked_precision(asked: str) -> Precision | None:
    """None for `auto`."""
    precisions: tuple[Precision, ...] = get_args(Precision)
    if asked != "auto" and asked not in precisions:
        choices = ", ".join(precisions)
        raise EngineError("input", f"There is no precision “{asked}”.", f"Choose auto or one of: {choices}.")
    return next((precision for precision in precisions if precision == asked), None)


def _placement(
    shape: plans.Shape, precision: Precision, context: int, device: Device, present: tuple[Device, ...]
) -> Placement:
    """The card with the most room comes first: it has all that is no layer."""
    room = {part.id: plans.usable_bytes(part) for part in present}
    ids = sorted(card_ids(device), key=lambda card: -room[card])
    devices = [torch.device(card) for card in ids]
    if len(ids) == 1:
        return Placement(devices)
    usable = [room[card] for card in ids]
    return Placement(devices, plans.share_layers(shape, precision, context, usable))
