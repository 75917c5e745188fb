"""How fast a model whose experts are streamed drafts, as its link allows."""

from __future__ import annotations

import pytest

from engine.checkpoints.catalogue import GEMMA_26B
from engine.checkpoints.memory_plan import MemoryPlan, memory_plans
from engine.checkpoints.model_shape import read_shape
from engine.checkpoints.stream_speed import StreamSpeed, stream_speed
from engine.protocol.events import Device

GIB = 2**30


def card(link_gib: float, generation: int = 4, lanes: int = 8) -> Device:
    return Device(
        id="cuda:0",
        name="A card",
        total_bytes=8 * GIB,
        free_bytes=8 * GIB,
        pcie_generation=generation,
        pcie_lanes=lanes,
        link_bytes_per_s=round(link_gib * GIB),
    )


def speed_of(streamed_gib: float, device: Device) -> StreamSpeed:
    """Of a plan for weights of 16 GiB."""
    kind = device.pcie_generation, device.pcie_lanes, device.link_bytes_per_s
    return StreamSpeed(*kind, round(streamed_gib * GIB), 16 * GIB)


def words(streamed_gib: float, device: Device) -> str:
    return speed_of(streamed_gib, device).words


def test_the_link_the_bytes_and_the_seconds_are_told() -> None:
    assert words(11.6, card(12.4)) == (
        "PCIe 4 × 8, 12.4 GB/s · 11.6 GB a step · about 1 s a step, 15 to 25 s a paragraph"
    )


@pytest.mark.parametrize(
    ("streamed_gib", "link_gib", "told"),
    [
        (5.5, 12.4, "about 0.5 s a step, 10 to 15 s a paragraph"),
        (5.2, 12.4, "at least 0.5 s a step, 10 to 15 s a paragraph"),
        (0.4, 25.0, "at least 0.5 s a step, 5 s a paragraph"),
        (11.0, 1.5, "about 7.5 s a step, 105 to 180 s a paragraph"),
    ],
)
def test_seconds_are_rounded_up(streamed_gib: float, link_gib: float, told: str) -> None:
    assert words(streamed_gib, card(link_gib)).endswith(f" · {told}")


def test_a_link_without_pcie_is_told_by_its_speed_alone() -> None:
    assert words(11.6, card(12.4, 0, 0)).startswith("12.4 GB/s · ")
    assert words(11.6, card(0.5)).startswith("PCIe 4 × 8, 512 MB/s · ")


def test_a_paragraph_takes_14_to_24_steps() -> None:
    speed = speed_of(12, card(12))
    assert (speed.step_s, speed.paragraph_s) == (1.0, (14.0, 24.0))


def test_of_a_link_that_nobody_measured_its_width_is_told() -> None:
    for unmeasured, lead in ((card(0), "PCIe 4 × 8 · "), (card(0, 0, 0), "")):
        assert (
            speed_of(11, unmeasured).words_before
            == f"{lead}11.0 GB a step · how long that takes is not known yet"
        )


def test_a_plan_tells_what_is_copied_of_how_much() -> None:
    shape = read_shape(GEMMA_26B.describes)

    def plan(free_gib: int) -> MemoryPlan:
        return memory_plans(shape, ["4-bit-tight"], free_gib * GIB, main_free_bytes=24 * GIB)[0]

    small = plan(8)
    speed = stream_speed(small, card(12))
    assert speed == StreamSpeed(4, 8, 12 * GIB, small.streamed_bytes, small.weights_bytes)
    assert stream_speed(plan(24), card(12)) is None
