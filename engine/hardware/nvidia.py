"""NVIDIA cards as their driver (NVML) lists them, and the environment that shows only the chosen ones."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sysconfig
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.hardware.device_groups import TOGETHER
from engine.hardware.system_memory import memory_now
from engine.protocol.events import Device

ADA = (8, 9)
_AMD_UUID = re.compile(r"GPU-[0-9a-f]{16}")  # NVIDIA's have hyphens


def nvidia_gpus() -> tuple[Device, ...]:
    """In the driver's order, known by their UUIDs; empty without NVIDIA's driver.

    Touches no card: no CUDA context is made.
    """
    # Slow, and no window has to wait for it.
    import pynvml  # type: ignore[import-untyped]

    gpus = []
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        try:
            for index in range(pynvml.nvmlDeviceGetCount()):
                with contextlib.suppress(pynvml.NVMLError):  # a card that was lost hides no other
                    gpus.append(_gpu(pynvml, index))
        finally:
            pynvml.nvmlShutdown()
    return tuple(gpus)


def _gpu(pynvml: Any, index: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    total = free = 0
    with contextlib.suppress(pynvml.NVMLError_NotSupported):  # where the processor's memory is the card's too
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = int(memory.total), int(memory.free)
    name, uuid = pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetUUID(handle)
    fp8 = False
    with contextlib.suppress(pynvml.NVMLError):
        fp8 = has_fp8_kernels(tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)))
    generation = lanes = 0
    with contextlib.suppress(pynvml.NVMLError):  # some have no PCIe
        generation = int(pynvml.nvmlDeviceGetMaxPcieLinkGeneration(handle))
        lanes = int(pynvml.nvmlDeviceGetMaxPcieLinkWidth(handle))
    return Device(
        id=uuid,
        name=name,
        total_bytes=total,
        free_bytes=free,
        uuid=uuid,
        fp8=fp8,
        main_free_bytes=memory_now().available_bytes,
        pcie_generation=generation,
        pcie_lanes=lanes,
    )


def has_fp8_kernels(capability: tuple[int, int]) -> bool:
    """Whether a card of this compute capability reads FP8, and this computer can compile for it."""
    return capability >= ADA and _has_compiler()


@cache
def _has_compiler() -> bool:
    """Triton, and what it compiles with."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return bool(find_spec("triton") and compiler and header.is_file())


def engine_environment(device: str) -> dict[str, str]:
    """What an engine's process must find in its environment when it starts, for this choice of a device.

    Cards chosen by UUID are the only ones it sees. A card that is gone hides no other, so that the engine can
    name what there is. Indices count as the driver counts.
    """
    wanted = device.split(TOGETHER)
    if all(map(_AMD_UUID.fullmatch, wanted)):
        return {"HIP_VISIBLE_DEVICES": ",".join(wanted)}
    environment = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    if not all(uuid.startswith("GPU-") for uuid in wanted):
        return environment
    here = [gpu.uuid for gpu in nvidia_gpus()]
    chosen = [uuid for begin in wanted for uuid in here if uuid.startswith(begin)]
    if len(chosen) == len(wanted):
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
    return environment
