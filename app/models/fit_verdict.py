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
from engine.checkpoints.memory_plan import MemoryPlan, memory_plans, plan_words
from engine.checkpoints.model_shape import ModelShape
from engine.checkpoints.precision import LOADABLE_PRECISIONS, Precision, suitable_precisions
from engine.checkpoints.stream_speed import stream_speed
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
    """And, in a line of its own, how fast it is as far as that is known."""


def device_taken(
    setting: str,
    devices: tuple[Device, ...],
    shape: ModelShape | None,
    precision: str,
    context_tokens: int,
    variants: int = 1,
) -> Device | None:
    """The device that a load comes to; None for one that is not here. precision: `auto`, or one of them."""

    def fits(device: Device) -> bool:
        return shape is None or has_room(shape, precision, device, context_tokens, variants=variants)

    return device_named(setting, devices, fits)


def judge(
    shape: ModelShape,
    precisions: Sequence[Precision],
    chosen: str,
    context_tokens: int,
    device: Device,
    variants: int = 1,
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
    best = best_precision(device, load_bytes(shape, device, context_tokens, loads, variants))
    taken = next((precision for precision in offered if precision == chosen), best)
    planned = offered if taken in offered else [taken, *offered]
    context, cards = planned_context(shape, context_tokens), len(card_ids(device))
    main, free = (device.main_free_bytes, device.kept_free_bytes), usable_bytes(device)
    plans = memory_plans(shape, planned, free, device.total_bytes, cards, variants, *main, device)
    plan = next(plan for plan in plans if (plan.precision, plan.context_tokens) == (taken, context))
    place = "this computer" if device.id == "cpu" else f"your {device_label(device)}"
    told = plan_words(plan, place, several=cards > 1, names=PRECISION_NAMES, instead=instead)
    words = (
        f"{told[0].upper()}{told[1:]}."
        if chosen in offered
        else f"{PRECISION_LABELS[plan.precision]} {told}."
    )
    if plan.fits and device.id == "cpu" and plan.weights_bytes > _LARGE_BYTES:
        words += " Without a graphics card it is very slow."
    if speed := stream_speed(plan, device):
        words += f"\n{speed.words if speed.link_bytes_per_s else speed.words_before}."
    return FitVerdict(plan, words)


def need(plan: MemoryPlan, label: str, device: Device) -> str:
    """What a model needs and what there was, in a sentence. What other programs took and gave back meanwhile
    nobody knows.
    """
    had = f"; {device_label(device)} had {memory_text(plan.free_bytes)} free"
    name = PRECISION_NAMES[plan.precision]
    return f"{label} in {name} needs about {memory_text(plan.total_bytes)}{had * (not plan.fits)}."
