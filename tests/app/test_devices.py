from __future__ import annotations

import pytest

from app.devices import chosen, idle_card, short_name, with_hidden
from engine.events import Device
from engine.nvidia import Gpu

CPU = Device(id="cpu", name="AMD EPYC", total_bytes=2, free_bytes=1)
FIRST = Device(id="cuda:0", name="RTX 4090", total_bytes=2, free_bytes=1, uuid="GPU-1")
GPUS = (Gpu(0, "RTX 4090", "GPU-1", 2, 1), Gpu(1, "RTX 3060", "GPU-2", 2, 1))


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "RTX 4090 Laptop GPU"),
        ("NVIDIA H100 80GB HBM3", "H100 80GB HBM3"),
        ("AMD Radeon RX 7900 XTX", "RX 7900 XTX"),
        ("Intel(R) Arc(TM) A770 Graphics", "Intel Arc A770 Graphics"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel Xeon"),
        ("AMD EPYC 7B13 64-Core Processor", "AMD EPYC 7B13"),
        ("Apple GPU", "Apple GPU"),
        ("CPU", "CPU"),
        ("NVIDIA", "NVIDIA"),
    ],
)
def test_a_name_without_its_vendors_noise(name: str, short: str) -> None:
    assert short_name(Device(id="x", name=name, total_bytes=0, free_bytes=0)) == short


def test_a_device_is_found_by_id_and_uuid_and_none_is_taken_instead() -> None:
    assert chosen("auto", (FIRST, CPU)) == chosen("cuda:0", (FIRST, CPU)) == chosen("GPU-1", (FIRST, CPU))
    assert chosen("GPU-2", (FIRST, CPU)) is None
    assert chosen("auto", ()) is None


def test_a_card_that_the_engine_was_not_shown_can_still_be_chosen() -> None:
    found = with_hidden((FIRST, CPU), GPUS)
    assert [device.id for device in found] == ["cuda:0", "GPU-2", "cpu"]
    assert with_hidden((CPU,), GPUS) == (CPU,)


def test_an_idle_card_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    told = idle_card((CPU,), GPUS)
    assert told is not None
    assert "RTX 4090" in told[0]
    assert "packaging/dev.py run" in told[1]
    assert idle_card((FIRST, CPU), GPUS) is None
    assert idle_card((CPU,), ()) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert idle_card((CPU,), GPUS) is None
