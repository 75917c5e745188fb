"""How fast a model whose experts are streamed drafts, as its link allows."""

from __future__ import annotations

import pytest

from engine.checkpoints.stream_speed import stream_speed
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


def words(streamed_gib: float, device: Device) -> str:
    speed = stream_speed(round(streamed_gib * GIB), device)
    assert speed
    return speed.words


def test_the_link_the_bytes_and_the_seconds_are_told() -> None:
    assert words(11.6, card(12.4)) == (
        "PCIe 4 × 8, 12.4 GB/s · 11.6 GB a step · about 1 s a step, 15 to 25 s a paragraph"
    )


@pytest.mark.parametrize(
    ("streamed_gib", "link_gib", "told"),
    [
        (5.5, 12.4, "about 0.5 s a step, 10 to 15 s a paragraph"),
        (0.4, 25.0, "about 0.5 s a step, 5 s a paragraph"),
        (11.0, 1.5, "about 7.5 s a step, 105 to 180 s a paragraph"),
    ],
)
def test_seconds_are_rounded_up(streamed_gib: float, link_gib: float, told: str) -> None:
    assert words(streamed_gib, card(link_gib)).endswith(f" · {told}")


def test_a_link_without_pcie_is_told_by_its_speed_alone() -> None:
    assert words(11.6, card(12.4, 0, 0)).startswith("12.4 GB/s · ")
    assert words(11.6, card(0.5)).startswith("PCIe 4 × 8, 512 MB/s · ")


def test_a_paragraph_takes_14_to_24_steps() -> None:
    speed = stream_speed(12 * GIB, card(12))
    assert speed
    assert (speed.step_s, speed.paragraph_s) == (1.0, (14.0, 24.0))


def test_of_a_link_that_nobody_measured_its_width_is_told() -> None:
    for unmeasured, lead in ((card(0), "PCIe 4 × 8 · "), (card(0, 0, 0), "")):
        speed = stream_speed(11 * GIB, unmeasured)
        assert speed
        assert speed.words_before == f"{lead}11.0 GB a step · how long that takes is not known yet"


def test_nothing_is_told_of_a_plan_that_streams_nothing() -> None:
    assert stream_speed(0, card(12.4)) is None
