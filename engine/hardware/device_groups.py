"""Several cards as one device: its name, and the cards that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.protocol.events import Device

TOGETHER = "+"  # between their ids and UUIDs


def card_ids(device: Device) -> list[str]:
    """Its own id, if it is one device alone."""
    return device.id.split(TOGETHER)


def best_device(present: Sequence[Device], fits: Callable[[Device], bool]) -> Device:
    """The first, which is the best one; all cards together where only these have room."""
    joint = [device for device in present if len(card_ids(device)) > 1]
    return joint[0] if joint and fits(joint[0]) and not fits(present[0]) else present[0]


def combined_device(cards: Sequence[Device]) -> tuple[Device, ...]:
    """One device of all the cards, for a model that fits none of them alone; empty for a single card."""
    if len(cards) < 2:
        return ()
    return (
        Device(
            id=TOGETHER.join(card.id for card in cards),
            name=" + ".join(card.name for card in cards),
            total_bytes=sum(card.total_bytes for card in cards),
            free_bytes=sum(card.free_bytes for card in cards),
            uuid=TOGETHER.join(card.uuid for card in cards),
            fp8=all(card.fp8 for card in cards),
        ),
    )
