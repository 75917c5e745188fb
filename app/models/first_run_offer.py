"""The sentence that offers the real model to a new writer."""

from __future__ import annotations

import msgspec

from app.models import library
from app.models.fit_verdict import device_taken, judge
from app.models.model_entry import ModelEntry
from app.models.precision_labels import with_precision_labels
from app.settings.schema import Settings
from app.widgets.device_label import device_label
from engine.checkpoints.catalogue import GEMMA_26B
from engine.checkpoints.memory_estimate import usable_bytes
from engine.checkpoints.units import disk_text, memory_text
from engine.protocol.events import Device

CARD = "a graphics card with 24 GB"


def first_run_offer(settings: Settings, devices: tuple[Device, ...]) -> str:
    """Empty where the model is here or in use already, or nothing can be said."""
    entry = ModelEntry(known=GEMMA_26B)
    device = device_taken(settings.device, devices, entry.shape, "auto", settings.context_tokens)
    if entry.shape is None or device is None or settings.model == GEMMA_26B.name:
        return ""
    if library.is_whole(GEMMA_26B.folder):
        return ""
    verdict = judge(entry.shape, entry.precisions, "auto", settings.context_tokens, device)
    if not verdict.fits:  # but perhaps it would, once other programs have ended
        idle = tuple(msgspec.structs.replace(other, free_bytes=other.total_bytes) for other in devices)
        best = device_taken(settings.device, idle, entry.shape, "auto", settings.context_tokens)
        device = next(other for other in devices if best and other.id == best.id)
        verdict = judge(entry.shape, entry.precisions, "auto", settings.context_tokens, device)
    label, name = entry.label, device_label(device)
    if all(other.id == "cpu" for other in devices):
        if verdict.fits:
            return f"{label} is made for {CARD}. This computer has none: it would run, but very slowly."
        return f"{label} needs {CARD}; this computer has none. The starter model stays."
    plan, size = verdict.plan, disk_text(entry.size_bytes)
    precision = with_precision_labels(plan.precision)
    spare = usable_bytes(device) - plan.total_bytes
    if verdict.fits and spare > 0:
        fits = f"{size} to download, fits with {memory_text(spare)} to spare"
        return f"Your {name} can run {label} in {precision}: {fits}."
    if plan.total_bytes <= device.total_bytes:
        return (
            f"Your {name} can run {label} in {precision} once other programs have freed "
            f"{memory_text(-spare)}: {size} to download."
        )
    total = f"{device.total_bytes / 2**30:.0f} GB"
    return f"{label} needs {CARD}; your {name} has {total}. The starter model stays."
