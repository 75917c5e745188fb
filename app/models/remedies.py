"""Remedies, one click each, for a model that does not fit or a device that is gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.models.fit_verdict import device_taken, judge, need
from app.models.library import local_model, real_path
from app.models.model_entry import ModelEntry
from app.settings.schema import Settings
from app.widgets.device_label import device_label
from app.worker.step_pace import Slowdown
from engine.checkpoints.catalogue import KNOWN_MODELS, STARTER, resolve_model
from engine.checkpoints.memory_estimate import CONTEXTS
from engine.checkpoints.memory_plan import MemoryPlan
from engine.checkpoints.precision import STREAMED_PRECISIONS, Precision, suitable_precisions
from engine.checkpoints.units import PRECISION_NAMES
from engine.hardware.device_groups import card_ids
from engine.hardware.selection import device_named, device_setting
from engine.protocol.errors import FaultError
from engine.protocol.events import Device, Ready

NO_MODEL = ("input", "weights-missing", "weights-broken")
"""Kinds of failures of a load that leave nothing but another model."""


@dataclass(frozen=True)
class Remedy:
    """One thing to do about a fault."""

    label: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Of the settings; with none of them the same thing is tried again."""


TRY_AGAIN = Remedy("Close other programs and try again")
AUTOMATIC = Remedy("Choose the precision automatically", {"precision": "auto"})
LOAD_AGAIN = Remedy("Load it again")
USE_STARTER = Remedy("Use the starter model", {"model": STARTER.name, "precision": "auto"})


@dataclass(frozen=True)
class Remedies:
    """What to do about a fault."""

    message: str = ""
    """Told in place of the engine's, if not empty."""
    reason: str = ""
    """Told in place of the engine's remedy, if not empty."""
    ways: tuple[Remedy, ...] = ()
    """The best one first."""


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
    if kind in NO_MODEL and ready is None and settings.model != STARTER.name:
        if kind == "input" and _is_gone(settings.model):
            gone = "Choose another model, or connect the disk that this one lies on."
            return Remedies(reason=gone, ways=(USE_STARTER,))
        packed_otherwise = kind == "input" and settings.precision != "auto"
        return Remedies(ways=(AUTOMATIC,) * packed_otherwise + (USE_STARTER,))
    if kind in ("out-of-memory", "engine-died"):
        return _for_lack_of_memory(settings, devices, ready, certain=kind == "out-of-memory")
    return Remedies()


def of_slow_steps(slow: Slowdown, ready: Ready) -> Remedies:
    """Where a model that fills its card has become slow."""
    card = device_label(ready.device)
    step, planned = (f"{s:.1f}" if s >= 1 else f"{s:.2g}" for s in (slow.step_s, slow.planned_s))
    message = (
        f"Drafting is slow: a step takes {step} s in place of {planned}. The driver of your {card} is "
        "probably moving what no longer fits its memory into main memory."
    )
    reason, ways = "Close other programs that use the card", tuple[Remedy, ...]()
    if ready.precision != "4-bit-tight":
        reason += ", or choose a tighter precision"
    if ready.precision in STREAMED_PRECISIONS and len(card_ids(ready.device)) == 1:
        reason += ". The next load keeps less on the card"
        ways = (LOAD_AGAIN,)
    return Remedies(message, f"{reason}.", ways)


def _for_lack_of_memory(
    settings: Settings, devices: tuple[Device, ...], ready: Ready | None, *, certain: bool
) -> Remedies:
    """What would fit by the plan. ready: what is loaded, if it was a draft that failed; certain: whether
    memory ran out, for want of which the system ends programs too.
    """
    entry, context, variants = _entry(settings), settings.context_tokens, settings.variants
    shape, asked = entry.shape, ready.precision if ready else settings.precision
    device = (
        ready.device if ready else device_taken(settings.device, devices, shape, asked, context, variants)
    )
    starter = (USE_STARTER,) * (settings.model != STARTER.name)
    if shape is None or device is None:
        reason = "Close other programs, or choose a smaller model."
        return Remedies(reason=reason, ways=(TRY_AGAIN, *starter)) if certain else Remedies()

    def plan(precision: str, context_tokens: int, where: Device) -> MemoryPlan:
        return judge(shape, entry.precisions, precision, context_tokens, where, variants).plan

    now = plan(asked, context, device)
    if now.fits and not certain:
        return Remedies()
    ways = []
    for precision in suitable_precisions(entry.precisions, device):
        other = plan(precision, context, device)
        if other.fits and other.total_bytes < now.total_bytes:
            ways.append(Remedy(f"Use {PRECISION_NAMES[precision]}", {"precision": precision}))
            break
    joint = next((other for other in devices if set(card_ids(other)) > set(card_ids(device))), None)
    if joint and plan(now.precision, context, joint).fits:
        ways.append(Remedy(f"Use {device_label(joint)}", {"device": device_setting(joint)}))
    smaller = [tokens for tokens in CONTEXTS if tokens < now.context_tokens]
    if ready and smaller and plan(now.precision, smaller[-1], device).fits:
        ways.append(Remedy("Use a smaller context", {"context_tokens": smaller[-1]}))
    if not device.total_bytes or now.fits_once_emptied:
        ways.append(TRY_AGAIN)
    ways = [*ways, *starter] or [TRY_AGAIN]
    return Remedies(reason=need(now, entry.label, device), ways=tuple(ways[:2]))


def _is_gone(model: str) -> bool:
    try:
        resolve_model(model)
    except FaultError:
        return True
    return False


def automatic_precision(settings: Settings, device: Device) -> Precision | None:
    """What Automatic comes to on that device; None where nobody knows."""
    entry = _entry(settings)
    if entry.shape is None:
        return None
    budget = settings.context_tokens, device, settings.variants
    return judge(entry.shape, entry.precisions, "auto", *budget).plan.precision


def _entry(settings: Settings) -> ModelEntry:
    """The model that the settings name. No other folder is looked into: the window waits."""
    known = next((known for known in KNOWN_MODELS if known.name == settings.model), None)
    return ModelEntry(known) if known else ModelEntry(local=local_model(Path(real_path(settings.model))))
