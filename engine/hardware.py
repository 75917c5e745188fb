"""The devices there are, the memory they have, and what fits into it."""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from engine.errors import EngineError
from engine.events import Device

Precision = Literal["bf16", "fp32"]


def devices() -> tuple[Device, ...]:
    """All there are, the best first."""
    return (*_cuda(), *_xpu(), *_mps(), _cpu())


def resolve(device_id: str, present: tuple[Device, ...]) -> Device:
    """`auto` is the best one there is. Raises device-missing; another device is never taken instead."""
    wanted = {"auto": present[0].id, "cuda": "cuda:0", "xpu": "xpu:0", "mps:0": "mps"}.get(
        device_id, device_id
    )
    for device in present:
        if device.id == wanted:
            return device
    here = ", ".join(f"{device.id} ({device.name})" for device in present)
    raise EngineError(
        "device-missing", f"There is no device “{device_id}” here.", f"Choose auto or one of: {here}."
    )


def best_precision(device: Device, bf16_bytes: int) -> Precision:
    """bf16, save on a processor without bf16 arithmetic: there fp32 is five times as fast, if it fits."""
    if device.id != "cpu" or 2 * bf16_bytes > device.free_bytes // 2:
        return "bf16"
    abilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if any(has for name, has in abilities.items() if name.endswith("bf16")) else "fp32"


def limit_threads() -> None:
    """Leave one core to the writer's keys."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, cores - 1))


def free_unused_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
    elif torch.xpu.is_available():
        torch.xpu.empty_cache()


@dataclass(frozen=True)
class Plan:
    """What a model needs at one precision and context size, and whether that fits."""

    precision: str
    context_tokens: int
    weights_bytes: int
    total_bytes: int
    fits: bool
    verdict: str


def plan(
    precision: str, context_tokens: int, weights_bytes: int, working_bytes: int, memory_bytes: int
) -> Plan:
    total = weights_bytes + working_bytes
    fits = total <= memory_bytes
    verdict = f"needs {gigabytes(total)} of {gigabytes(memory_bytes)}"
    if not fits:
        verdict += f": {gigabytes(total - memory_bytes)} too much"
    return Plan(precision, context_tokens, weights_bytes, total, fits, verdict)


def gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _cuda() -> tuple[Device, ...]:
    """NVIDIA, and AMD through ROCm, which torch calls cuda too."""
    if not torch.cuda.is_available():
        return ()
    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found.append(Device(id=f"cuda:{index}", name=name, total_bytes=total, free_bytes=free))
    return tuple(found)


def _xpu() -> tuple[Device, ...]:
    if not torch.xpu.is_available():
        return ()
    found = []
    for index in range(torch.xpu.device_count()):
        total = torch.xpu.get_device_properties(index).total_memory
        free = total - torch.xpu.memory_reserved(index)
        name = torch.xpu.get_device_name(index)
        found.append(Device(id=f"xpu:{index}", name=name, total_bytes=total, free_bytes=free))
    return tuple(found)


def _mps() -> tuple[Device, ...]:
    if not torch.backends.mps.is_available():
        return ()
    total = torch.mps.recommended_max_memory()
    free = max(0, total - torch.mps.driver_allocated_memory())
    return (Device(id="mps", name="Apple GPU", total_bytes=total, free_bytes=free),)


def _cpu() -> Device:
    total, free = _ram()
    return Device(id="cpu", name=_cpu_name(), total_bytes=total, free_bytes=free)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "CPU"


def _ram() -> tuple[int, int]:
    """Total and available bytes; 0 where the system does not tell."""
    info = Path("/proc/meminfo")
    if info.is_file():
        sizes = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        total, free = (int(sizes.get(key, "0 kB").split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
        return total, free
    if platform.system() == "Windows":
        return _windows_ram()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), 0
    except (ValueError, OSError):
        return 0, 0


def _windows_ram() -> tuple[int, int]:
    """GlobalMemoryStatusEx: dwLength and dwMemoryLoad (4 bytes each), then ullTotalPhys and ullAvailPhys."""
    status = (ctypes.c_uint64 * 8)()
    status[0] = ctypes.sizeof(status)
    windll = getattr(ctypes, "windll")  # noqa: B009 - it exists on Windows only
    if not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return 0, 0
    return status[1], status[2]
