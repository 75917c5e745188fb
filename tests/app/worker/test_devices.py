from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.widgets.device_label import device_label
from engine.hardware import selection
from engine.hardware.device_groups import combined_device
from engine.hardware.selection import device_named, with_hidden
from engine.protocol.events import Device
from tests.fakes import nvidia_card

CPU = Device(id="cpu", name="AMD EPYC", total_bytes=2, free_bytes=1)
FIRST = Device(id="cuda:0", name="RTX 4090", total_bytes=2, free_bytes=1, uuid="GPU-1")
GPUS = (nvidia_card("RTX 4090", "GPU-1", 2, 1), nvidia_card("RTX 3060", "GPU-2", 2, 1))


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
    assert device_label(Device(id="x", name=name, total_bytes=0, free_bytes=0)) == short


def test_a_device_is_found_by_id_and_uuid_and_none_is_taken_instead() -> None:
    assert (
        device_named("auto", (FIRST, CPU))
        == device_named("cuda:0", (FIRST, CPU))
        == device_named("GPU-1", (FIRST, CPU))
    )
    assert device_named("GPU-2", (FIRST, CPU)) is None
    assert device_named("auto", ()) is None


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA GeForce RTX 4090 + NVIDIA GeForce RTX 3060", "RTX 4090 + RTX 3060"),
        ("NVIDIA GeForce RTX 4090 + NVIDIA GeForce RTX 4090", "2 × RTX 4090"),
        ("NVIDIA H100 + NVIDIA H100 + NVIDIA A100", "2 × H100 + A100"),
    ],
)
def test_cards_together_are_called_by_their_short_names(name: str, short: str) -> None:
    ids = "+".join(f"cuda:{index}" for index in range(name.count("+") + 1))
    assert device_label(Device(id=ids, name=name, total_bytes=0, free_bytes=0)) == short


@pytest.mark.parametrize("room", [0, 1, 2, 9])
def test_auto_is_what_the_engine_takes(room: int) -> None:
    second = Device(id="cuda:1", name="RTX 3060", total_bytes=1, free_bytes=1, uuid="GPU-2")
    present = (FIRST, second, *combined_device((FIRST, second)), CPU)

    def fits(device: Device) -> bool:
        return device.free_bytes >= room

    assert device_named("auto", present, fits) == selection.resolve_device("auto", present, fits)


def test_a_card_that_the_engine_was_not_shown_can_still_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    second = Device(id="GPU-2", name="RTX 3060", total_bytes=2, free_bytes=1, uuid="GPU-2")
    both = Device(
        id="cuda:0+GPU-2", name="RTX 4090 + RTX 3060", total_bytes=4, free_bytes=2, uuid="GPU-1+GPU-2"
    )
    assert with_hidden((FIRST, CPU), GPUS) == (FIRST, second, both, CPU)
    assert with_hidden((CPU,), GPUS) == (CPU,)
    assert with_hidden((FIRST, CPU), GPUS[:1]) == (FIRST, CPU)


def test_the_largest_card_comes_first_as_the_engine_would_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = (*GPUS, nvidia_card("H100", "GPU-3", 9, 1))
    found = with_hidden((FIRST, CPU), gpus)
    assert [device.uuid for device in found] == ["GPU-3", "GPU-1", "GPU-2", "GPU-3+GPU-1+GPU-2", ""]
    able = replace(gpus[2], fp8=True)
    assert [device.fp8 for device in with_hidden((FIRST, CPU), (*GPUS, able))] == [True] + [False] * 4


def test_what_the_engine_lists_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    second = Device(id="cuda:1", name="RTX 3060", total_bytes=2, free_bytes=1, uuid="GPU-2")
    present = (second, FIRST, *combined_device((second, FIRST)), CPU)
    assert with_hidden(present, GPUS) == present
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert with_hidden((FIRST, CPU), GPUS) == (FIRST, CPU)  # hidden on purpose
