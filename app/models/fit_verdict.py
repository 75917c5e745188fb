"""Whether a model fits the device that the settings name, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.models.precision_labels import PRECISION_LABELS, with_precision_labels
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
from engine.checkpoints.units import memory_text
from engine.hardware.device_groups import card_ids
from engine.hardware.selection import device_named
from engine.protocol.events import Device

_LARGE_BYTES = 4_000_000_000
"""From here on a model is slow without a graphics card."""


@dataclass(frozen=True)
class FitVerdict:
    """precision: what was asked for, or what Automatic comes to."""

    precision: Precision
    fits: bool
    words: str
    plan: MemoryPlan


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
    plans = _plans(shape, planned, context_tokens, device, instead)
    plan = next(plan for plan in plans if plan.precision == taken)
    verdict = with_precision_labels(plan.verdict)
    if chosen in offered:
        words = f"{verdict[0].upper()}{verdict[1:]}."
    else:
        words = f"{PRECISION_LABELS[plan.precision]} {verdict}."
    if plan.fits and device.id == "cpu" and plan.weights_bytes > _LARGE_BYTES:
        words += " Without a graphics card it is very slow."
    return FitVerdict(plan.precision, plan.fits, words, plan)


def need(plan: MemoryPlan, label: str, device: Device) -> str:
    """What a model needs and what there was, in a sentence. What other programs took and gave back meanwhile
    nobody knows.
    """
    free = usable_bytes(device)
    there = f"; {device_label(device)} had {memory_text(free)} free" if 0 < free < plan.total_bytes else ""
    name = PRECISION_LABELS[plan.precision]
    return f"{label} in {name[0].lower()}{name[1:]} needs about {memory_text(plan.total_bytes)}{there}."


def _plans(
    shape: ModelShape, precisions: Sequence[Precision], context_tokens: int, device: Device, instead: bool
) -> list[MemoryPlan]:
    usable, cards = usable_bytes(device), len(card_ids(device))
    place = "this computer" if device.id == "cpu" else f"your {device_label(device)}"
    plans = memory_plans(shape, precisions, usable, device.total_bytes, place, cards, instead=instead)
    context = planned_context(shape, context_tokens)
    return [plan for plan in plans if plan.context_tokens == context]
