"""What to offer, one click each, when a model does not fit or its device is gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.devices import choice_of, short_name
from app.settings import Settings
from engine.cards import card_ids
from engine.events import Device, Ready
from engine.plans import CONTEXTS, Plan, Shape, suitable

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
USE_STARTER = Way("Use the starter model", {"model": STARTER, "precision": "auto"})


@dataclass(frozen=True)
class WaysOut:
    """reason: told in place of the engine's remedy, if not empty; ways: the best one first."""

    reason: str = ""
    ways: tuple[Way, ...] = ()


def ways_out(kind: str, settings: Settings, devices: tuple[Device, ...], ready: Ready | None) -> WaysOut:
    """kind: the failure's (engine.errors); ready: what is loaded."""
    if kind == "device-missing" and devices:
        best = devices[0]
        return WaysOut(ways=(Way(f"Use {short_name(best)}", {"device": choice_of(best)}),))
    if kind in NO_MODEL and ready is None and settings.model != STARTER:
        gone = "Choose another model, or connect the disk that this one lies on."
        return WaysOut(gone if kind == "input" else "", (USE_STARTER,))
    if kind != "out-of-memory":
        return WaysOut()
    from app.models.verdict import taken

    entry = _entry(settings)
    shape = entry.shape if entry else None
    context = settings.context_tokens
    device = ready.device if ready else taken(settings.device, devices, shape, settings.precision, context)
    reason, ways = "", list[Way]()
    if entry and shape and device:
        joint = next((other for other in devices if set(card_ids(other)) > set(card_ids(device))), None)
        reason, ways = _by_plan(entry, shape, settings, device, joint, ready)
    else:
        ways = [AGAIN]
    if settings.model != STARTER:
        ways.append(USE_STARTER)
    return WaysOut(reason, tuple((ways or [AGAIN])[:2]))


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


def _entry(settings: Settings) -> Entry | None:
    from app.models.entry import entries

    found = entries(settings.model_folders, ())
    return next((entry for entry in found if settings.model in (entry.model, str(entry.folder))), None)
