"""Resolve a LoadRequest: device, precision and device map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import msgspec
import torch

from engine.checkpoints import catalogue, memory_estimate
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.memory_estimate import MemoryEstimate
from engine.checkpoints.precision import Precision
from engine.checkpoints.units import PRECISION_NAMES
from engine.hardware import selection
from engine.hardware.device_groups import card_ids
from engine.hardware.device_map import DeviceMap
from engine.protocol.errors import FaultError
from engine.protocol.events import Device
from engine.protocol.requests import LoadRequest


@dataclass(frozen=True)
class LoadPlan:
    """What is loaded, where to and how."""

    checkpoint: Checkpoint
    device: Device
    """Several cards count as one."""
    precision: Precision
    max_batch: int
    """The most drafts that there is room for at once."""
    device_map: DeviceMap
    """On which of the device's cards each layer lies."""
    packed_models: Path | None = None
    """Where packed copies are looked for and kept, for the next start."""
    streamed_bytes: int = 0
    """Of the weights: in main memory, for a card."""

    @property
    def has_slow_steps(self) -> bool:
        """Each takes about a second on a card that experts are copied to, and more on a processor that
        computes with packed ones.
        """
        return self.streamed_bytes > 0 or self.precision in ("int8", "int4")


def resolve_load(request: LoadRequest, checkpoint: Checkpoint, present: tuple[Device, ...]) -> LoadPlan:
    """Raises device-missing, and input for a precision that there is not."""
    asked, shape = _asked_precision(request.precision), checkpoint.shape
    context, variants = memory_estimate.planned_context(shape, request.context_tokens), request.variants
    loadable = (shape.packed,) if shape.packed else ()
    kept_free = {"kept_free_bytes": request.kept_free_bytes}
    present = tuple(msgspec.structs.replace(device, **kept_free) for device in present)

    def fits(device: Device) -> bool:
        return memory_estimate.has_room(shape, request.precision, device, context, loadable, variants)

    device = selection.resolve_device(request.device, present, fits)
    if asked in ("int8", "int4") and device.id != "cpu":
        name = PRECISION_NAMES[asked]
        message = (
            f"The precision {asked} ({name}) is for processors, and the model is to run on {device.name}."
        )
        raise FaultError("input", message, "Choose another precision, or the processor.")
    precision = asked or memory_estimate.best_precision(
        device, memory_estimate.load_bytes(shape, device, context, loadable, variants)
    )
    estimate = MemoryEstimate(shape, precision, context, variants, device=device)
    estimate = memory_estimate.streaming_on(device, estimate) or estimate
    max_batch = memory_estimate.batch_limit(estimate, device)
    device_map = _device_map(estimate, device, present)
    packed_models, streamed_bytes = catalogue.packed_models_folder(), estimate.streamed_bytes
    return LoadPlan(checkpoint, device, precision, max_batch, device_map, packed_models, streamed_bytes)


def _asked_precision(asked: str) -> Precision | None:
    """None for `auto`."""
    precisions: tuple[Precision, ...] = get_args(Precision)
    if asked != "auto" and asked not in precisions:
        choices = ", ".join(precisions)
        raise FaultError("input", f"There is no precision “{asked}”.", f"Choose auto or one of: {choices}.")
    return next((precision for precision in precisions if precision == asked), None)


def _device_map(estimate: MemoryEstimate, device: Device, present: tuple[Device, ...]) -> DeviceMap:
    """The card with the most room comes first: it has all that is no layer."""
    room = {part.id: memory_estimate.usable_bytes(part) for part in present}
    ids = sorted(card_ids(device), key=lambda card: -room[card])
    devices = [torch.device(card) for card in ids]
    if len(ids) == 1:
        return DeviceMap(devices, streamed=estimate.streamed_layers)
    usable = [room[card] for card in ids]
    return DeviceMap(devices, estimate.share_layers(usable))
