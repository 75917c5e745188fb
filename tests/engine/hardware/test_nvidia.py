"""NVIDIA's driver, faked, and what an engine's process is started with."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pynvml  # type: ignore[import-untyped]
import pytest
from msgspec.structs import replace

from engine.hardware import nvidia
from engine.hardware.nvidia import engine_environment, nvidia_gpus
from engine.hardware.system_memory import SystemMemory
from tests.fakes import nvidia_card

FIRST, SECOND = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-8944aaaa-d72c-4106-c12f-000000000000"
GB = 10**9


class Driver:
    """Cards by index. broken: of that one nothing but an error is to be had; shared: it has no own memory;
    untold: nor does it tell what it can compute; soldered: that one has no PCIe.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cards = [("RTX 4090", FIRST), ("RTX 3060", SECOND)]
        self.broken: int | None = None
        self.shared: int | None = None
        self.untold: int | None = None
        self.soldered: int | None = None
        self.open = 0
        for name in dir(self):
            if name.startswith("nvml"):
                monkeypatch.setattr(pynvml, name, getattr(self, name))

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index == self.broken:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:
        return self.cards[handle][0]

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return self.cards[handle][1]

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> list[int]:
        if handle == self.untold:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)
        return [8, 9 - 3 * handle]

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: int) -> int:
        if handle == self.soldered:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return 4

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: int) -> int:
        return 16 - 8 * handle

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        if handle == self.shared:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(total=24 * GB, free=20 * GB, used=4 * GB)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setattr(nvidia, "_has_compiler", lambda: True)
    monkeypatch.setattr(nvidia, "memory_now", lambda: SystemMemory(0, 0))
    return Driver(monkeypatch)


def test_cards_are_listed_as_the_driver_has_them(driver: Driver) -> None:
    large = nvidia_card("RTX 4090", FIRST, 24 * GB, 20 * GB, fp8=True)
    small = nvidia_card("RTX 3060", SECOND, 24 * GB, 20 * GB, fp8=False)
    assert nvidia_gpus() == (
        replace(large, pcie_generation=4, pcie_lanes=16),
        replace(small, pcie_generation=4, pcie_lanes=8),
    )
    assert driver.open == 0


def test_a_card_without_pcie_tells_no_lanes(driver: Driver) -> None:
    driver.soldered = 0
    assert [(gpu.pcie_generation, gpu.pcie_lanes) for gpu in nvidia_gpus()] == [(0, 0), (4, 8)]


def test_fp8_needs_triton_a_compiler_and_pythons_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"triton": True, "gcc": True}
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(nvidia, "find_spec", lambda name: here.get(name))
    monkeypatch.setattr(shutil, "which", lambda name: here.get(name))
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})

    def compiles() -> bool:
        nvidia._has_compiler.cache_clear()
        return nvidia.has_fp8_kernels((9, 0))

    assert not compiles()
    (tmp_path / "Python.h").touch()
    assert compiles()
    for tool in ("triton", "gcc"):
        here[tool] = False
        assert not compiles()
        here[tool] = True
    for compiler in ("clang", "gcc"):
        here |= {"gcc": False, "clang": False, compiler: True}
        assert compiles()
    here["gcc"] = False
    monkeypatch.setenv("CC", "/opt/cc")
    assert compiles()
    assert not nvidia.has_fp8_kernels((8, 6))
    nvidia._has_compiler.cache_clear()


def test_a_card_that_does_not_tell_what_it_computes_is_listed(driver: Driver) -> None:
    driver.untold = 0
    assert [(gpu.uuid, gpu.fp8) for gpu in nvidia_gpus()] == [(FIRST, False), (SECOND, False)]


def test_without_a_driver_there_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_library)
    assert nvidia_gpus() == ()


def test_a_card_that_shares_the_computers_memory_tells_none(driver: Driver) -> None:
    driver.shared = 0
    assert [gpu.total_bytes for gpu in nvidia_gpus()] == [0, 24 * GB]


def test_a_card_that_was_lost_hides_no_other(driver: Driver) -> None:
    driver.broken = 0
    assert [gpu.uuid for gpu in nvidia_gpus()] == [SECOND]
    assert driver.open == 0


@pytest.mark.parametrize("chosen", [SECOND, "GPU-8944"])
def test_a_gpu_chosen_by_uuid_is_the_only_one_an_engine_sees(driver: Driver, chosen: str) -> None:
    assert engine_environment(chosen) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": SECOND,
    }


@pytest.mark.parametrize("chosen", ["GPU-89", "GPU-0000", "cuda:1", "auto", "cpu", "mps"])
def test_otherwise_an_engine_sees_all(driver: Driver, chosen: str) -> None:
    assert engine_environment(chosen) == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def test_an_amd_card_is_chosen_through_hip(driver: Driver) -> None:
    assert engine_environment("GPU-9e8d35e3a1340fdd") == {"HIP_VISIBLE_DEVICES": "GPU-9e8d35e3a1340fdd"}


def test_cards_together_are_the_only_ones_that_an_engine_sees(driver: Driver) -> None:
    assert engine_environment(f"{SECOND}+{FIRST}")["CUDA_VISIBLE_DEVICES"] == f"{SECOND},{FIRST}"
    assert "CUDA_VISIBLE_DEVICES" not in engine_environment(f"{FIRST}+GPU-gone")
    amd = "GPU-9e8d35e3a1340fdd+GPU-9e8d35e3a1340fde"
    assert engine_environment(amd) == {"HIP_VISIBLE_DEVICES": amd.replace("+", ",")}
