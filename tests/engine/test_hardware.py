"""Devices, precision and plans."""

from __future__ import annotations

import pytest
import torch

from engine import hardware
from engine.errors import EngineError
from engine.events import Device

GPU = Device(id="cuda:0", name="A GPU", total_bytes=24_000_000_000, free_bytes=20_000_000_000)
CPU = Device(id="cpu", name="A processor", total_bytes=16_000_000_000, free_bytes=8_000_000_000)


def test_the_processor_is_always_there() -> None:
    cpu = hardware.devices()[-1]
    assert cpu.id == "cpu"
    assert cpu.name
    assert 0 < cpu.free_bytes <= cpu.total_bytes


@pytest.mark.parametrize(("asked", "found"), [("auto", GPU), ("cuda:0", GPU), ("cuda", GPU), ("cpu", CPU)])
def test_a_device_is_found_by_its_id(asked: str, found: Device) -> None:
    assert hardware.resolve(asked, (GPU, CPU)) == found


@pytest.mark.parametrize("asked", ["cuda:1", "mps", "banana", ""])
def test_an_absent_device_is_an_error_that_lists_the_others(asked: str) -> None:
    with pytest.raises(EngineError) as caught:
        hardware.resolve(asked, (GPU, CPU))
    assert caught.value.kind == "device-missing"
    assert "cuda:0 (A GPU)" in caught.value.remedy


@pytest.mark.parametrize(
    ("device", "weights", "abilities", "precision"),
    [
        (GPU, 10**6, {}, "bf16"),
        (CPU, 10**6, {}, "fp32"),
        (CPU, 10**6, {"avx2": True, "avx512_bf16": False}, "fp32"),
        (CPU, 10**6, {"avx512_bf16": True}, "bf16"),
        (CPU, 3 * 10**9, {}, "bf16"),
    ],
)
def test_a_processor_without_bf16_computes_in_fp32(
    device: Device, weights: int, abilities: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert hardware.best_precision(device, weights) == precision


def test_a_plan_says_whether_it_fits() -> None:
    fits = hardware.plan("bf16", 2048, 10_000_000_000, 1_000_000_000, 24_000_000_000)
    assert (fits.fits, fits.total_bytes) == (True, 11_000_000_000)
    too_much = hardware.plan("bf16", 2048, 52_000_000_000, 1_000_000_000, 24_000_000_000)
    assert not too_much.fits
    assert "29.0 GB too much" in too_much.verdict
