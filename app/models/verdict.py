"""The plan's verdict on a model, for the device that the settings name, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.devices import chosen, short_name
from app.models.precisions import NAMES, in_words
from engine.cards import card_ids
from engine.events import Device
from engine.plans import (
    LOADABLE,
    Plan,
    Precision,
    Shape,
    best_precision,
    has_room,
    load_bytes,
    memory,
    planned_context,
    suitable,
    table,
    usable_bytes,
)

_LARGE_BYTES = 4_000_000_000
"""From here on a model is slow without a graphics card."""


@dataclass(frozen=True)
class Verdict:
    """precision: what was asked for, or what Automatic comes to."""

    precision: Precision
    fits: bool
    words: str
    plan: Plan


def device_taken(
    setting: str, devices: tuple[Device, ...], shape: Shape | None, precision: str, context_tokens: int
) -> Device | None:
    """The device that a load comes to; None for one that is not here. precision: `auto`, or one of them."""

    def fits(device: Device) -> bool:
        return shape is None or has_room(shape, precision, device, context_tokens)

    return chosen(setting, devices, fits)


def judge(
    shape: Shape,
    precisions: Sequence[Precision],
    chosen: str,
    context_tokens: int,
    device: Device,
    *,
    instead: bool = False,
) -> Verdict:
    """chosen: `auto`, or one of the precisions, which need not be empty. instead: what the model in use holds
    counts as free.
    """
    fitting = suitable(precisions, device)
    offered = [precision for precision in precisions if precision in fitting or precision == chosen]
    offered = offered or list(precisions)  # a packed copy can only be what it is
    loads = [precision for precision in offered if precision in LOADABLE]
    best = best_precision(device, load_bytes(shape, device, context_tokens, loads))
    taken = next((precision for precision in offered if precision == chosen), best)
    planned = offered if taken in offered else [taken, *offered]
    plans = _plans(shape, planned, context_tokens, device, instead)
    plan = next(plan for plan in plans if plan.precision == taken)
    verdict = in_words(plan.verdict)
    if chosen in offered:
        words = f"{verdict[0].upper()}{verdict[1:]}."
    else:
        words = f"{NAMES[plan.precision]} {verdict}."
    if plan.fits and device.id == "cpu" and plan.weights_bytes > _LARGE_BYTES:
        words += " Without a graphics card it is very slow."
    return Verdict(plan.precision, plan.fits, words, plan)


def need(plan: Plan, label: str, device: Device) -> str:
    """What a model needs and what there was, in a sentence. What other programs took and gave back meanwhile
    nobody knows.
    """
    free = usable_bytes(device)
    there = f"; {short_name(device)} had {memory(free)} free" if 0 < free < plan.total_bytes else ""
    name = NAMES[plan.precision]
    return f"{label} in {name[0].lower()}{name[1:]} needs about {memory(plan.total_bytes)}{there}."


def _plans(
    shape: Shape, precisions: Sequence[Precision], context_tokens: int, device: Device, instead: bool
) -> list[Plan]:
    usable, cards = usable_bytes(device), len(card_ids(device))
    place = "this computer" if device.id == "cpu" else f"your {short_name(device)}"
    plans = table(shape, precisions, usable, device.total_bytes, place, cards, instead=instead)
    context = planned_context(shape, context_tokens)
    return [plan for plan in plans if plan.context_tokens == context]
