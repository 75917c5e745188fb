"""Devices and precision. CUDA and NVIDIA's driver are faked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from msgspec.structs import replace

from engine.checkpoints.memory_estimate import usable_bytes
from engine.hardware import nvidia, selection, torch_devices
from engine.hardware.device_groups import card_ids, combined_device
from engine.protocol.errors import FaultError
from engine.protocol.events import Device
from tests.fakes import nvidia_card

GB = 10**9
GPU = Device(
    id="cuda:0", name="A GPU", total_bytes=24 * GB, free_bytes=20 * GB, uuid="GPU-8932f937-d72c-4106"
)
OTHER = Device(
    id="cuda:1", name="Another", total_bytes=12 * GB, free_bytes=12 * GB, uuid="GPU-8944aaaa-d72c-4106"
)
(BOTH,) = combined_device((GPU, OTHER))
CPU = Device(id="cpu", name="A processor", total_bytes=16 * GB, free_bytes=8 * GB)


def test_the_processor_is_always_there() -> None:
    cpu = torch_devices.devices()[-1]
    assert cpu.id == "cpu"
    assert cpu.name
    assert 0 < cpu.free_bytes <= cpu.total_bytes


@pytest.mark.parametrize(
    ("abilities", "has"),
    [({}, False), ({"avx2": True, "avx512_bf16": False}, False), ({"avx512_bf16": True}, True)],
)
def test_the_processor_tells_whether_it_computes_in_bf16(
    abilities: dict[str, bool], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEZZOTINT_BF16", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert torch_devices.devices()[-1].bf16 == has


@pytest.mark.parametrize("able", [False, True])
@pytest.mark.parametrize(("told", "has"), [("0", False), ("1", True), ("", None), ("yes", None)])
def test_the_processor_can_be_taken_for_one_of_the_other_kind(
    able: bool, told: str, has: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEZZOTINT_BF16", told)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": able}, raising=False)
    assert torch_devices.devices()[-1].bf16 is (able if has is None else has)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("auto", GPU),
        ("cuda:0", GPU),
        ("cuda", GPU),
        ("cpu", CPU),
        (GPU.uuid, GPU),
        (OTHER.uuid, OTHER),
        ("GPU-8944", OTHER),
    ],
)
def test_a_device_is_found_by_its_id_or_uuid(asked: str, found: Device) -> None:
    assert selection.resolve_device(asked, (GPU, OTHER, CPU)) == found


@pytest.mark.parametrize("asked", ["cuda:2", "mps", "banana", "", "GPU-89", "GPU-0000"])
def test_an_absent_device_is_an_error_that_lists_the_others(asked: str) -> None:
    with pytest.raises(FaultError) as caught:
        selection.resolve_device(asked, (GPU, OTHER, CPU))
    assert caught.value.fault.kind == "device-missing"
    assert f"“{asked}”" in caught.value.fault.message
    assert "A GPU (cuda:0), Another (cuda:1), A processor (cpu)" in caught.value.fault.remedy


# ------------------------------------------------------------------ cards


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """The cards that the driver tells; CUDA counts them the other way round."""
    gpus = [
        nvidia_card("Small", "GPU-0-small", 8 * GB, 7 * GB),
        replace(nvidia_card("Large", "GPU-1-large", 24 * GB, 20 * GB), pcie_generation=4, pcie_lanes=8),
    ]
    monkeypatch.setattr(torch_devices, "nvidia_gpus", lambda: tuple(gpus))
    return gpus


@pytest.fixture
def cuda(driver: list[Device], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A torch that sees those cards. The list: where CUDA was asked for the memory, and took some."""
    asked: list[int] = []

    def mem_get_info(index: int) -> tuple[int, int]:
        asked.append(index)
        return 5 * GB, 6 * GB

    def properties(index: int) -> SimpleNamespace:
        gpu = driver[-1 - index]
        return SimpleNamespace(
            name=gpu.name,
            uuid=gpu.uuid.removeprefix("GPU-"),
            major=8 + 4 * index,
            minor=6 - 6 * index,
        )

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(driver))
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    return asked


def test_cards_have_the_memory_that_the_driver_tells_of_their_uuid(cuda: list[int]) -> None:
    large, small, _, cpu = torch_devices.devices()
    assert (large.id, large.name, large.uuid) == ("cuda:0", "Large", "GPU-1-large")
    assert (large.total_bytes, large.free_bytes) == (24 * GB, 20 * GB)
    assert (small.id, small.total_bytes, small.free_bytes) == ("cuda:1", 8 * GB, 7 * GB)
    assert (large.pcie_generation, large.pcie_lanes) == (4, 8)
    assert cpu.id == "cpu"
    assert cuda == []


@pytest.mark.parametrize(
    ("hip", "compiler", "expected"),
    [(None, True, [False, True]), (None, False, [False] * 2), ("6.4", True, [False] * 2)],
)
def test_a_card_has_fp8_where_its_kernels_are(
    hip: str | None, compiler: bool, expected: list[bool], cuda: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch_devices, "_uuid", lambda properties: f"GPU-{properties.uuid}")
    monkeypatch.setattr(nvidia, "_has_compiler", lambda: compiler)
    large, small, joint, cpu = torch_devices.devices()
    assert [large.fp8, small.fp8] == expected
    assert not joint.fp8
    assert not cpu.fp8


def test_the_largest_card_is_the_best(driver: list[Device], cuda: list[int]) -> None:
    driver.reverse()
    assert [device.id for device in torch_devices.devices()[:2]] == ["cuda:1", "cuda:0"]


def test_cuda_is_asked_where_the_driver_tells_no_memory(driver: list[Device], cuda: list[int]) -> None:
    driver[1] = nvidia_card("GB10", "GPU-1-large", 0, 0)
    shared = next(device for device in torch_devices.devices() if device.name == "GB10")
    assert (shared.total_bytes, shared.free_bytes) == (6 * GB, 5 * GB)
    assert cuda == [0]


def test_amds_uuid_is_what_hip_understands(cuda: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    as_torch_has_it = "39653864-3335-6533-6131-333430666464"
    monkeypatch.setattr(torch.version, "hip", "7.2")
    monkeypatch.setattr(torch_devices, "nvidia_gpus", lambda: ())
    card = SimpleNamespace(name="R9700", uuid=as_torch_has_it)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _index: card)
    assert torch_devices.devices()[0].uuid == "GPU-9e8d35e3a1340fdd"


def test_a_build_for_the_processor_beside_a_card_is_told_with_the_remedy(
    driver: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.delenv("MEZZOTINT_TORCH", raising=False)
    told = torch_devices.idle_card()
    assert "Small" in told
    assert "python3 packaging/dev.py run" in told
    assert "MEZZOTINT_TORCH" not in told
    with pytest.raises(FaultError) as caught:
        selection.resolve_device("GPU-1-large", (CPU,))
    assert told in caught.value.fault.remedy
    monkeypatch.setenv("MEZZOTINT_TORCH", "cpu")
    assert "MEZZOTINT_TORCH unset" in torch_devices.idle_card()


def test_a_driver_too_old_is_told_unless_the_cards_are_hidden(
    driver: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "Update the driver, or set MEZZOTINT_TORCH=cuda126" in torch_devices.idle_card()
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    assert torch_devices.idle_card().endswith("Update the driver.")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert torch_devices.idle_card() == ""


def test_a_card_that_is_used_is_not_idle(cuda: list[int]) -> None:
    assert torch_devices.idle_card() == ""


def test_without_a_card_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_devices, "nvidia_gpus", lambda: ())
    monkeypatch.setattr(torch.version, "cuda", None)
    assert torch_devices.idle_card() == ""


def test_the_peak_is_the_devices_own(monkeypatch: pytest.MonkeyPatch) -> None:
    reset: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7 + device.index)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    torch_devices.reset_peak(OTHER)
    assert reset == [torch.device("cuda:1")]
    assert torch_devices.peak_bytes(OTHER) == 8
    assert torch_devices.peak_bytes(BOTH) == 15
    for silent in (CPU, Device(id="mps", name="", total_bytes=0, free_bytes=0)):
        torch_devices.reset_peak(silent)
        assert torch_devices.peak_bytes(silent) == 0
    assert len(reset) == 1


# ------------------------------------------------------------------ cards together


def test_two_cards_are_a_device_too(cuda: list[int]) -> None:
    large, small, both, _ = torch_devices.devices()
    assert (both.id, both.name, both.uuid) == ("cuda:0+cuda:1", "Large + Small", "GPU-1-large+GPU-0-small")
    assert (both.total_bytes, both.free_bytes) == (32 * GB, 27 * GB)
    assert card_ids(both) == [large.id, small.id]
    assert usable_bytes(both) == usable_bytes(large) + usable_bytes(small)


def test_one_card_is_not_offered_twice(driver: list[Device], cuda: list[int]) -> None:
    driver.pop()
    assert [device.id for device in torch_devices.devices()] == ["cuda:0", "cpu"]


@pytest.mark.parametrize(
    ("room", "found"), [(20 * GB, GPU), (25 * GB, BOTH), (40 * GB, GPU)], ids=["one", "both", "none"]
)
def test_all_cards_are_taken_only_where_the_best_is_too_small(room: int, found: Device) -> None:
    present = (GPU, OTHER, BOTH, CPU)
    assert selection.resolve_device("auto", present, lambda device: device.free_bytes >= room) == found


@pytest.mark.parametrize(
    ("asked", "found"), [(BOTH.uuid, BOTH), (BOTH.id, BOTH), (GPU.uuid, GPU), ("GPU-8932", GPU)]
)
def test_a_card_alone_is_not_mistaken_for_all(asked: str, found: Device) -> None:
    assert selection.resolve_device(asked, (GPU, OTHER, BOTH, CPU)) == found
