"""What to offer, one click each, when a model does not fit or its device is gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.devices import choice_of, chosen, short_name
from app.settings import Settings
from engine.cards import card_ids
from engine.events import Device, Ready
from engine.plans import CONTEXTS, Plan, Precision, Shape, suitable

if TYPE_CHECKING:
    from app.models.entry import Entry

STARTER = "starter"
NO_MODEL = ("input", "weights-missing", "weights-broken")
"""Kinds of failures of a load that leave nothing but another model."""


@dataclass(frozen=True)
class Way:
    """changes: of the settings; with none of them the same thing is tried again."""

    label: str
    changes: dict[str, Any] = field(default_factory=dict)


AGAIN = Way("Close other programs and try again")
AUTOMATIC = Way("Choose the precision automatically", {"precision": "auto"})
USE_STARTER = Way("Use the starter model", {"model": STARTER, "precision": "auto"})


@dataclass(frozen=True)
class WaysOut:
    """message, reason: told in place of the engine's message and remedy, if not empty; ways: the best one
    first.
    """

    message: str = ""
    reason: str = ""
    ways: tuple[Way, ...] = ()


def ways_out(kind: str, settings: Settings, devices: tuple[Device, ...], ready: Ready | None) -> WaysOut:
    """kind: the failure's (engine.errors); ready: what is loaded."""
    if kind == "device-missing" and devices:
        name = "the processor" if devices[0].id == "cpu" else short_name(devices[0])
        use = Way(f"Use {name}", {"device": choice_of(devices[0])})
        if chosen(settings.device, devices):
            return WaysOut(ways=(use,))
        return WaysOut("The device that the settings name is not here.", "Choose another one.", (use,))
    if kind == "device-lost":
        afresh = (
            "The engine starts afresh. If it happens again, restart the computer or choose another device."
        )
        return WaysOut(reason=afresh, ways=(Way("Try again"),))
    if kind in NO_MODEL and ready is None and settings.model != STARTER:
        if kind == "input" and _is_gone(settings.model):
            gone = "Choose another model, or connect the disk that this one lies on."
            return WaysOut(reason=gone, ways=(USE_STARTER,))
        packed_otherwise = kind == "input" and settings.precision != "auto"
        return WaysOut(ways=(AUTOMATIC,) * packed_otherwise + (USE_STARTER,))
    if kind not in ("out-of-memory", "engine-died"):
        return WaysOut()
    from app.models.verdict import device_taken

    entry = _entry(settings)
    shape = entry.shape
    context = settings.context_tokens
    device = (
        ready.device if ready else device_taken(settings.device, devices, shape, settings.precision, context)
    )
    reason, ways = "Close other programs, or choose a smaller model.", [AGAIN]
    if shape and device:
        if kind == "engine-died" and _fits(entry, shape, settings, device, ready):
            return WaysOut()  # the system ends programs when memory runs out, but here it was something else
        joint = next((other for other in devices if set(card_ids(other)) > set(card_ids(device))), None)
        reason, ways = _by_plan(entry, shape, settings, device, joint, ready)
    elif kind == "engine-died":
        return WaysOut()
    if settings.model != STARTER:
        ways.append(USE_STARTER)
    return WaysOut(reason=reason, ways=tuple((ways or [AGAIN])[:2]))


def _is_gone(model: str) -> bool:
    from engine.catalogue import find
    from engine.errors import EngineError

    try:
        find(model)
    except EngineError:
        return True
    return False


def _fits(entry: Entry, shape: Shape, settings: Settings, device: Device, ready: Ready | None) -> bool:
    from app.models.verdict import judge

    precision = ready.precision if ready else settings.precision
    return judge(shape, entry.precisions, precision, settings.context_tokens, device).fits


def _by_plan(
    entry: Entry, shape: Shape, settings: Settings, device: Device, joint: Device | None, ready: Ready | None
) -> tuple[str, list[Way]]:
    """What would fit by the plan. joint: the device together with others; ready: what is loaded, if it was a
    draft that failed.
    """
    from app.models.precisions import in_words
    from app.models.verdict import judge, need

    def plan(precision: str, context_tokens: int, where: Device = device) -> Plan:
        return judge(shape, entry.precisions, precision, context_tokens, where).plan

    context = settings.context_tokens
    now = plan(ready.precision if ready else settings.precision, context)
    ways = []
    for precision in suitable(entry.precisions, device):
        other = plan(precision, context)
        if other.fits and other.total_bytes < now.total_bytes:
            ways.append(Way(f"Use {in_words(precision)}", {"precision": precision}))
            break
    if joint and plan(now.precision, context, joint).fits:
        ways.append(Way(f"Use {short_name(joint)}", {"device": choice_of(joint)}))
    smaller = [tokens for tokens in CONTEXTS if tokens < now.context_tokens]
    if ready and smaller and plan(now.precision, smaller[-1]).fits:
        ways.append(Way("Use a smaller context", {"context_tokens": smaller[-1]}))
    if not device.total_bytes or now.total_bytes <= device.total_bytes:
        ways.append(AGAIN)
    return need(now, entry.label, device), ways


def automatic_precision(settings: Settings, device: Device) -> Precision | None:
    """What Automatic comes to on that device; None where nobody knows."""
    from app.models.verdict import judge

    entry = _entry(settings)
    if entry.shape is None:
        return None
    return judge(entry.shape, entry.precisions, "auto", settings.context_tokens, device).precision


def _entry(settings: Settings) -> Entry:
    """The model that the settings name. No other folder is looked into: the window waits."""
    from app.models.entry import Entry
    from app.models.library import local_model, real_path
    from engine.catalogue import KNOWN

    known = next((known for known in KNOWN if known.name == settings.model), None)
    return Entry(known) if known else Entry(local=local_model(Path(real_path(settings.model))))
