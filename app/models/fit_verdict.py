"""Whether a model fits the device that the settings name, and what would fit instead, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.widgets.device_label import device_label
from engine.checkpoints.memory_estimate import (
    best_precision,
    has_room,
    load_bytes,
    planned_context,
    usable_bytes,
)
from engine.checkpoints.memory_plan import MemoryPlan, memory_plans
from engine.checkpoints.model_shape import ModelShape
from engine.checkpoints.precision import LOADABLE_PRECISIONS, Precision, suitable_precisions
from engine.checkpoints.units import PRECISION_NAMES, memory_text
from engine.hardware.device_groups import card_ids
from engine.hardware.selection import device_named
from engine.protocol.events import Device

PRECISION_LABELS: dict[str, str] = {
    "auto": "Automatic",
    **{precision: name.capitalize() for precision, name in PRECISION_NAMES.items()},
}
"""As lists have them."""
_LARGE_BYTES = 4_000_000_000
"""From here on a model is slow without a graphics card."""


@dataclass(frozen=True)
class FitVerdict:
    """What a load of a model comes to on a device."""

    plan: MemoryPlan
    """At the precision that was chosen, or that Automatic comes to."""
    words: str


def device_taken(
    setting: str, devices: tuple[Device, ...], shape: ModelShape | None, precision: str, context_tokens: int
) -> Device | None:
    """The device that a load comes to; None for one that is not here. precision: `auto`, or one of them."""

    def fits(device: Device) -> bool:
        return shape is None or has_room(shape, precision, device, context_tokens)

    return device_named(setting, devices, fits)


def judge(
    shape: ModelShape,
    precisions: Sequence[Precision],
    chosen: str,
    context_tokens: int,
    device: Device,
    *,
    instead: bool = False,
) -> FitVerdict:
    """chosen: `auto`, or one of the precisions, which need not be empty. instead: what the model in use holds
    counts as free.
    """
    fitting = suitable_precisions(precisions, device)
    offered = [precision for precision in precisions if precision in fitting or precision == chosen]
    offered = offered or list(precisions)  # a packed copy can only be what it is
    loads = [precision for precision in offered if precision in LOADABLE_PRECISIONS]
    best = best_precision(device, load_bytes(shape, device, context_tokens, loads))
    taken = next((precision for precision in offered if precision == chosen), best)
    planned = offered if taken in offered else [taken, *offered]
    context, cards = planned_context(shape, context_tokens), len(card_ids(device))
    plans = memory_plans(shape, planned, usable_bytes(device), device.total_bytes, cards)
    plan = next(plan for plan in plans if (plan.precision, plan.context_tokens) == (taken, context))
    told = _words(plan, device, instead)
    words = (
        f"{told[0].upper()}{told[1:]}."
        if chosen in offered
        else f"{PRECISION_LABELS[plan.precision]} {told}."
    )
    if plan.fits and device.id == "cpu" and plan.weights_bytes > _LARGE_BYTES:
        words += " Without a graphics card it is very slow."
    return FitVerdict(plan, words)


def _words(plan: MemoryPlan, device: Device, instead: bool) -> str:
    place = "this computer" if device.id == "cpu" else f"your {device_label(device)}"
    several = len(card_ids(device)) > 1
    have = "have" if several else "has"
    if not plan.free_bytes:
        told = f"needs {memory_text(plan.total_bytes)}; how much {place} {have} free is not known"
    elif plan.fits:
        where = f" on {place}" * several + " in place of the model in use" * instead
        told = f"fits with {memory_text(plan.spare_bytes)} to spare{where}"
    else:
        lack = memory_text(max(2**20, -plan.spare_bytes))
        even = " even without the model in use" * instead
        told = f"needs {lack} more than {place} {have} free{even}: {_ways(plan)}"
    limited = f" (this model reads at most about {round(0.75 * plan.limit_tokens, -2):,.0f} words)"
    return told + limited * (plan.context_tokens > plan.limit_tokens)


def _ways(plan: MemoryPlan) -> str:
    """To make it fit."""
    choices = ["a smaller context"] * plan.smaller_context_fits
    if plan.fitting_precision:
        choices.append(PRECISION_NAMES[plan.fitting_precision])
    elif plan.fitting_precision_with_smaller_context and not choices:
        choices.append(
            f"{PRECISION_NAMES[plan.fitting_precision_with_smaller_context]} and a smaller context"
        )
    ways = ["close other programs"] * plan.fits_once_emptied
    ways += [f"choose {' or '.join(choices)}"] * bool(choices)
    return ", or ".join(ways) or "choose a smaller model"


def need(plan: MemoryPlan, label: str, device: Device) -> str:
    """What a model needs and what there was, in a sentence. What other programs took and gave back meanwhile
    nobody knows.
    """
    had = f"; {device_label(device)} had {memory_text(plan.free_bytes)} free"
    name = PRECISION_NAMES[plan.precision]
    return f"{label} in {name} needs about {memory_text(plan.total_bytes)}{had * (not plan.fits)}."
