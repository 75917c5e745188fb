"""The devices that PyTorch can use, and their memory."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

from engine.hardware.device_groups import card_ids, combined_device
from engine.hardware.nvidia import has_fp8_kernels, nvidia_gpus
from engine.hardware.processor import spare_cores
from engine.hardware.system_memory import memory_now
from engine.installation import how_to_reinstall
from engine.protocol.events import Device


def devices() -> tuple[Device, ...]:
    """All there are, the best first."""
    cards = _cuda()
    return (*cards, *combined_device(cards), *_xpu(), *_mps(), _cpu())


def idle_card() -> str:
    """Why PyTorch cannot use the NVIDIA card that is here, and what to do; empty if all is well."""
    gpus = nvidia_gpus()
    if not gpus or torch.cuda.is_available():
        return ""
    message = (
        f"This computer has an NVIDIA card ({gpus[0].name}), but PyTorch {torch.__version__} cannot use it"
    )
    if torch.version.cuda is None:
        again = how_to_reinstall()
        told = f"{again[0].upper()}{again[1:]}: that takes the build for the card."
        return f"{message}: it is another build. {told}"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ""  # hidden on purpose
    older = f", or {how_to_reinstall('cuda126')}: that takes the build for older drivers"
    return (
        f"{message}: the card’s driver does not suit CUDA {torch.version.cuda}. Update the driver"
        f"{'' if torch.version.cuda.startswith('12.') else older}."
    )


def limit_threads() -> None:
    """Leave one core to the writer's keys."""
    torch.set_num_threads(spare_cores())


def free_unused_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
    elif torch.xpu.is_available():
        torch.xpu.empty_cache()


def peak_bytes(device: Device) -> int:
    """The most memory that tensors held there since reset_peak(); 0 where torch does not tell."""
    return sum(module.max_memory_allocated(card) for module, card in _memory_modules(device))


def reset_peak(device: Device) -> None:
    for module, card in _memory_modules(device):
        module.reset_peak_memory_stats(card)


def _memory_modules(device: Device) -> list[tuple[Any, torch.device]]:
    modules = {"cuda": torch.cuda, "xpu": torch.xpu}
    found = map(torch.device, card_ids(device))
    return [(modules[card.type], card) for card in found if card.type in modules]


def _cuda() -> tuple[Device, ...]:
    """NVIDIA, and AMD through ROCm, which torch calls cuda too. Largest first.

    The driver is asked for the memory: asking CUDA takes some of it, on every card.
    """
    if not torch.cuda.is_available():
        return ()
    told = {gpu.uuid: gpu for gpu in nvidia_gpus() if gpu.total_bytes}
    main_free = memory_now().available_bytes
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        uuid = _uuid(properties)
        gpu = told.get(uuid)
        if gpu:
            free, total = gpu.free_bytes, gpu.total_bytes
        else:
            free, total = torch.cuda.mem_get_info(index)
        fp8 = not torch.version.hip and has_fp8_kernels((properties.major, properties.minor))
        found.append(
            Device(
                id=f"cuda:{index}",
                name=properties.name,
                total_bytes=total,
                free_bytes=free,
                uuid=uuid,
                fp8=fp8,
                main_free_bytes=main_free,
                pcie_generation=gpu.pcie_generation if gpu else 0,
                pcie_lanes=gpu.pcie_lanes if gpu else 0,
            )
        )
    return tuple(sorted(found, key=lambda device: -device.total_bytes))


def _uuid(properties: Any) -> str:
    """As the driver writes it. ROCm's sixteen bytes are the letters of AMD's."""
    uuid = str(properties.uuid).removeprefix("GPU-")
    if torch.version.hip:
        uuid = bytes.fromhex(uuid.replace("-", "")).decode("ascii", "replace")
    return f"GPU-{uuid}"


def _xpu() -> tuple[Device, ...]:
    if not torch.xpu.is_available():
        return ()
    found = []
    for index in range(torch.xpu.device_count()):
        properties = torch.xpu.get_device_properties(index)
        total = properties.total_memory
        free = total - torch.xpu.memory_reserved(index)
        uuid = str(getattr(properties, "uuid", ""))
        found.append(
            Device(id=f"xpu:{index}", name=properties.name, total_bytes=total, free_bytes=free, uuid=uuid)
        )
    return tuple(found)


def _mps() -> tuple[Device, ...]:
    if not torch.backends.mps.is_available():
        return ()
    total = torch.mps.recommended_max_memory()
    free = max(0, total - torch.mps.driver_allocated_memory())
    return (Device(id="mps", name="Apple GPU", total_bytes=total, free_bytes=free),)


def _cpu() -> Device:
    total, free = memory_now()
    return Device(id="cpu", name=_cpu_name(), total_bytes=total, free_bytes=free, bf16=computes_in_bf16())


def computes_in_bf16() -> bool:
    """Whether the processor has arithmetic for bf16.

    MEZZOTINT_BF16=1 or =0 overrules what it says, so that either kind can be tried on the other: without the
    arithmetic a processor computes in bf16 too, slowly.
    """
    if (told := os.environ.get("MEZZOTINT_BF16", "")) in ("0", "1"):
        return told == "1"
    abilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has for name, has in abilities.items() if name.endswith("bf16"))


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "CPU"
