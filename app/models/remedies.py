"""Remedies, one click each, for a model that does not fit or a device that is gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings.schema import Settings
from app.widgets.device_label import device_label
from engine.checkpoints.memory_estimate import CONTEXTS
from engine.checkpoints.memory_plan import MemoryPlan
from engine.checkpoints.model_shape import ModelShape
from engine.checkpoints.precision import Precision, suitable_precisions
from engine.hardware.device_groups import card_ids
from engine.hardware.selection import device_named, device_setting
from engine.protocol.events import Device, Ready

if TYPE_CHECKING:
    from app.models.model_entry import ModelEntry

STARTER_NAME = "starter"
NO_MODEL = ("input", "weights-missing", "weights-broken")
"""Kinds of failures of a load that leave nothing but another model."""


@dataclass(frozen=True)
class Remedy:
    """changes: of the settings; with none of them the same thing is tried again."""

    label: str
    changes: dict[str, Any] = field(default_factory=dict)


TRY_AGAIN = Remedy("Close other programs and try again")
AUTOMATIC = Remedy("Choose the precision automatically", {"precision": "auto"})
USE_STARTER = Remedy("Use the starter model", {"model": STARTER_NAME, "precision": "auto"})


@dataclass(frozen=True)
class Remedies:
    """message, reason: told in place of the engine's message and remedy, if not empty; ways: the best one
    first.
    """

    message: str = ""
    reason: str = ""
    ways: tuple[Remedy, ...] = ()


def remedies(kind: str, settings: Settings, devices: tuple[Device, ...], ready: Ready | None) -> Remedies:
    """kind: the failure's (engine.protocol.errors); ready: what is loaded."""
    if kind == "device-missing" and devices:
        name = "the processor" if devices[0].id == "cpu" else device_label(devices[0])
        use = Remedy(f"Use {name}", {"device": device_setting(devices[0])})
        if device_named(settings.device, devices):
            return Remedies(ways=(use,))
        return Remedies("The device that the settings name is not here.", "Choose another one.", (use,))
    if kind == "device-lost":
        afresh = (
            "The engine starts afresh. If it happens again, restart the computer or choose another device."
        )
        return Remedies(reason=afresh, ways=(Remedy("Try again"),))
    if kind in NO_MODEL and ready is None and settings.model != STARTER_NAME:
        if kind == "input" and _is_gone(settings.model):
            gone = "Choose another model, or connect the disk that this one lies on."
            return Remedies(reason=gone, ways=(USE_STARTER,))
        packed_otherwise = kind == "input" and settings.precision != "auto"
        return Remedies(ways=(AUTOMATIC,) * packed_otherwise + (USE_STARTER,))
    if kind not in ("out-of-memory", "engine-died"):
        return Remedies()
    from app.models.fit_verdict import device_taken

    entry = _entry(settings)
    shape = entry.shape
    context = settings.context_tokens
    device = (
        ready.device if ready else device_taken(settings.device, devices, shape, settings.precision, context)
    )
    reason, ways = "Close other programs, or choose a smaller model.", [TRY_AGAIN]
    if shape and device:
        if kind == "engine-died" and _fits(entry, shape, settings, device, ready):
            return Remedies()  # the system ends programs when memory runs out, but here it was something else
        joint = next((other for other in devices if set(card_ids(other)) > set(card_ids(device))), None)
        reason, ways = _by_plan(entry, shape, settings, device, joint, ready)
    elif kind == "engine-died":
        return Remedies()
    if settings.model != STARTER_NAME:
        ways.append(USE_STARTER)
    return Remedies(reason=reason, ways=tuple((ways or [TRY_AGAIN])[:2]))


def _is_gone(model: str) -> bool:
    from engine.checkpoints.catalogue import resolve_model
    from engine.protocol.errors import FaultError

    try:
        resolve_model(model)
    except FaultError:
        return True
    return False


def _fits(
    entry: ModelEntry, shape: ModelShape, settings: Settings, device: Device, ready: Ready | None
) -> bool:
    from app.models.fit_verdict import judge

    precision = ready.precision if ready else settings.precision
    return judge(shape, entry.precisions, precision, settings.context_tokens, device).fits


def _by_plan(
    entry: ModelEntry,
    shape: ModelShape,
    settings: Settings,
    device: Device,
    joint: Device | None,
    ready: Ready | None,
) -> tuple[str, list[Remedy]]:
    """What would fit by the plan. joint: the device together with others; ready: what is loaded, if it was a
    draft that failed.
    """
    from app.models.fit_verdict import judge, need
    from app.models.precision_labels import with_precision_labels

    def plan(precision: str, context_tokens: int, where: Device = device) -> MemoryPlan:
        return judge(shape, entry.precisions, precision, context_tokens, where).plan

    context = settings.context_tokens
    now = plan(ready.precision if ready else settings.precision, context)
    ways = []
    for precision in suitable_precisions(entry.precisions, device):
        other = plan(precision, context)
        if other.fits and other.total_bytes < now.total_bytes:
            ways.append(Remedy(f"Use {with_precision_labels(precision)}", {"precision": precision}))
            break
    if joint and plan(now.precision, context, joint).fits:
        ways.append(Remedy(f"Use {device_label(joint)}", {"device": device_setting(joint)}))
    smaller = [tokens for tokens in CONTEXTS if tokens < now.context_tokens]
    if ready and smaller and plan(now.precision, smaller[-1]).fits:
        ways.append(Remedy("Use a smaller context", {"context_tokens": smaller[-1]}))
    if not device.total_bytes or now.total_bytes <= device.total_bytes:
        ways.append(TRY_AGAIN)
    return need(now, entry.label, device), ways


def automatic_precision(settings: Settings, device: Device) -> Precision | None:
    """What Automatic comes to on that device; None where nobody knows."""
    from app.models.fit_verdict import judge

    entry = _entry(settings)
    if entry.shape is None:
        return None
    return judge(entry.shape, entry.precisions, "auto", settings.context_tokens, device).precision


def _entry(settings: Settings) -> ModelEntry:
    """The model that the settings name. No other folder is looked into: the window waits."""
    from app.models.library import local_model, real_path
    from app.models.model_entry import ModelEntry
    from engine.checkpoints.catalogue import KNOWN_MODELS

    known = next((known for known in KNOWN_MODELS if known.name == settings.model), None)
    return ModelEntry(known) if known else ModelEntry(local=local_model(Path(real_path(settings.model))))
