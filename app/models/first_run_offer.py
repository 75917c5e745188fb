"""The sentence that offers the real model to a new writer."""

from __future__ import annotations

import msgspec

from app.models import library
from app.models.fit_verdict import device_taken, judge
from app.models.model_entry import ModelEntry
from app.settings.schema import Settings, room_settings
from app.widgets.device_label import device_label
from engine.checkpoints.catalogue import GEMMA_26B, STARTER
from engine.checkpoints.units import PRECISION_NAMES, disk_text, memory_text
from engine.protocol.events import Device

STARTER_SHOWS = "The starter model only shows how drafting works; it is too small to write well."
CARD = "a graphics card with 24 GB"


def first_run_offer(settings: Settings, devices: tuple[Device, ...]) -> str:
    """Empty where the model is here or in use already, or nothing can be said."""
    offer = _offer(settings, devices)
    return f"{STARTER_SHOWS} {offer}" if offer and settings.model == STARTER.name else offer


def _offer(settings: Settings, devices: tuple[Device, ...]) -> str:
    entry, (tokens, variants) = ModelEntry(known=GEMMA_26B), room_settings(settings)
    device = device_taken(settings.device, devices, entry.shape, "auto", tokens, variants)
    if entry.shape is None or device is None or settings.model == GEMMA_26B.name:
        return ""
    if library.is_whole(GEMMA_26B.folder):
        return ""
    plan = judge(entry.shape, entry.precisions, "auto", tokens, device, variants).plan
    if not plan.fits:  # but perhaps it would, once other programs have ended
        idle = tuple(msgspec.structs.replace(other, free_bytes=other.total_bytes) for other in devices)
        best = device_taken(settings.device, idle, entry.shape, "auto", tokens, variants)
        device = next(other for other in devices if best and other.id == best.id)
        plan = judge(entry.shape, entry.precisions, "auto", tokens, device, variants).plan
    label, name = entry.label, device_label(device)
    if all(other.id == "cpu" for other in devices):
        if plan.fits:
            return f"{label} is made for {CARD}. This computer has none: it would run, but very slowly."
        return f"{label} needs {CARD}; this computer has none. The starter model stays."
    size, run = (
        disk_text(entry.size_bytes),
        f"Your {name} can run {label} in {PRECISION_NAMES[plan.precision]}",
    )
    if plan.fits and plan.spare_bytes > 0:
        return f"{run}: {size} to download, fits with {memory_text(plan.spare_bytes)} to spare."
    if plan.total_bytes <= device.total_bytes:
        lack = memory_text(-plan.spare_bytes)
        return f"{run} once other programs have freed {lack}: {size} to download."
    total = f"{device.total_bytes / 2**30:.0f} GB"
    return f"{label} needs {CARD}; your {name} has {total}. The starter model stays."
