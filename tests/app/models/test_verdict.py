"""The app says of a load what the engine makes of it."""

from __future__ import annotations

import pytest

from app.models.verdict import taken
from engine.cards import together
from engine.catalogue import GEMMA_26B
from engine.choice import choose
from engine.events import Device, LoadRequest
from engine.plans import read_shape

GIB = 2**30
CPU = Device(id="cpu", name="Xeon", total_bytes=32 * GIB, free_bytes=28 * GIB)


def cards(*sizes: int) -> tuple[Device, ...]:
    found = [
        Device(id=f"cuda:{n}", name="", total_bytes=size * GIB, free_bytes=size * GIB, uuid=f"GPU-{n}")
        for n, size in enumerate(sizes)
    ]
    return (*found, *together(found), CPU)


@pytest.mark.parametrize(
    "sizes", [(24, 24), (12, 12), (8, 8), (16, 12), (32, 32), (80, 8), (24,), (12, 8, 8)]
)
@pytest.mark.parametrize("precision", ["auto", "bf16", "4-bit", "4-bit-tight", "fp32"])
def test_auto_takes_the_device_that_the_engine_takes(sizes: tuple[int, ...], precision: str) -> None:
    present = cards(*sizes)
    request = LoadRequest(request_id="", model="", precision=precision)
    device, _, _ = choose(request, GEMMA_26B.describes, present)
    assert taken("auto", present, read_shape(GEMMA_26B.describes), precision) == device


def test_both_answers_occur() -> None:
    shape = read_shape(GEMMA_26B.describes)
    found = {len(sizes): taken("auto", cards(*sizes), shape, "auto") for sizes in ((24, 24), (12, 8, 8))}
    assert [device.id for device in found.values() if device] == ["cuda:0", "cuda:0+cuda:1+cuda:2"]
