"""Which cards a load would take, whether a model fits, and in which precisions it is offered."""

from __future__ import annotations

import msgspec

from app.models.progress_text import unbroken
from engine.checkpoints import memory_estimate, units
from engine.checkpoints.catalogue import GEMMA_26B
from engine.checkpoints.memory_estimate import MemoryEstimate
from engine.checkpoints.model_shape import read_shape
from engine.hardware.device_groups import combined_device
from engine.protocol.events import Device, Ready
from tests.app.models.desk import (
    CPU,
    GIB,
    RTX_3060,
    RTX_4090,
    Desk,
    choose,
    on_card,
)


def two_cards(first: Device) -> tuple[Device, ...]:
    """All that an engine lists beside an RTX 3060."""
    second = msgspec.structs.replace(RTX_3060, id="cuda:1", uuid="GPU-3061")
    return (first, second, *combined_device((first, second)), CPU)


def show_cards(desk: Desk, devices: tuple[Device, ...], ready: Ready | None = None) -> None:
    desk.model.devices = devices
    desk.model.stand(ready)


def test_cards_are_taken_together_where_one_is_too_small(desk: Desk) -> None:
    show_cards(desk, two_cards(RTX_3060))
    for word in ("", " (with the starter model on the first)"):
        assert desk.gemma.verdict.text().endswith(" to spare on your 2 × RTX 3060."), word
        assert desk.gemma.verdict.text().startswith("4-bit fits with ")
        assert "your" not in desk.starter.verdict.text()
        show_cards(desk, desk.model.devices, on_card(RTX_3060, "bf16"))
    choose(desk.gemma, "bf16")
    assert "more than your RTX 3060 has free" in desk.gemma.verdict.text()


def test_the_page_asks_how_fast_a_card_is_copied_to_while_it_is_seen(desk: Desk) -> None:
    small = msgspec.structs.replace(RTX_3060, main_free_bytes=24 * GIB)
    desk.page.hide()
    show_cards(desk, (small, CPU))
    assert desk.model.asked == []
    desk.gemma.hide()  # as one that was listed a moment ago
    desk.page.show()
    assert desk.model.asked == []
    desk.gemma.show()
    assert set(desk.model.asked) == {"link of GPU-3060"}
    desk.model.asked.clear()
    desk.model.link_bytes_per_s["GPU-3060"] = 12 * GIB
    desk.model.link_measured.emit()
    assert desk.model.asked == []
    assert unbroken("12.0 GB/s · ") in desk.gemma.verdict.text()


def test_the_precision_decides_how_many_cards_are_taken(desk: Desk) -> None:
    show_cards(desk, two_cards(msgspec.structs.replace(RTX_4090, total_bytes=48 * GIB, free_bytes=47 * GIB)))
    assert desk.gemma.verdict.text().startswith("4-bit fits with ")
    assert desk.gemma.verdict.text().endswith(" to spare.")
    choose(desk.gemma, "bf16")
    assert desk.gemma.verdict.text().endswith(" to spare on your RTX 4090 + RTX 3060.")


def test_cards_together_are_judged_as_what_they_are(desk: Desk) -> None:
    devices = two_cards(RTX_4090)
    show_cards(desk, devices)
    desk.store.change(device="GPU-4090+GPU-3061")
    choose(desk.gemma, "bf16")
    assert "more than your RTX 4090 + RTX 3060 have free" in desk.gemma.verdict.text()
    needed = MemoryEstimate(read_shape(GEMMA_26B.describes), "bf16", 2048).needed_bytes(2)
    lack = units.memory_text(needed - memory_estimate.usable_bytes(devices[2]))
    assert desk.gemma.verdict.text().startswith(unbroken(f"Needs {lack} more"))
