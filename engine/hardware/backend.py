"""Which build of PyTorch suits this machine, where it comes from, and how large it is.

Needs the standard library alone: what sets an engine up asks before anything is installed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

TORCH_INDEX = {  # without mps: PyPI has that one
    "cpu": "https://download.pytorch.org/whl/cpu",
    "cuda": "https://download.pytorch.org/whl/cu130",
    "cuda126": "https://download.pytorch.org/whl/cu126",
    "rocm": "https://download.pytorch.org/whl/rocm7.2",
}
BUILDS = {  # what it is, about how many GB to download, about how many on disk
    "cpu": ("the processor (no supported graphics card was found)", 0.8, 3),
    "cuda": ("NVIDIA cards (CUDA 13.0)", 3, 8),
    "cuda126": ("NVIDIA cards with an older driver or chip (CUDA 12.6)", 3, 8),
    "rocm": ("AMD cards (ROCm 7.2)", 5, 20),
    "mps": ("Apple silicon", 0.4, 2),
}
CUDA_13_DRIVER, CUDA_13_CAPABILITY = 580, 7.5
BLACKWELL = 10.0  # CUDA 12.6 has no code for cards from here on


class BackendError(Exception):
    """No build suits this machine as it is; the text says why and what to do."""


def find_backend() -> str:
    """cuda, cuda126, rocm, mps or cpu; MEZZOTINT_TORCH overrules what the system shows.

    Raises BackendError.
    """
    chosen = os.environ.get("MEZZOTINT_TORCH")
    if chosen:
        if chosen not in BUILDS:
            raise BackendError(f"MEZZOTINT_TORCH is {chosen}; it must be one of {', '.join(BUILDS)}.")
        return chosen
    if platform.system() == "Darwin":
        if platform.machine() != "arm64":
            raise BackendError("PyTorch no longer comes for Macs with Intel processors: none can draft.")
        return "mps"
    if has_nvidia_card():
        return cuda_build()
    return "rocm" if Path("/dev/kfd").exists() else "cpu"


def has_nvidia_card() -> bool:
    if ask_nvidia_smi():
        return True
    if os.name == "nt":
        with suppress(OSError):
            return bool(ctypes.CDLL("nvcuda.dll"))
        return False
    return any(Path("/proc/driver/nvidia/gpus").glob("*"))


def cuda_build() -> str:
    """cuda126 where the driver or a card is too old for CUDA 13, unless a card is too new for CUDA 12.6; cuda
    where nvidia-smi does not tell.
    """
    drivers, capabilities = [], []
    for row in ask_nvidia_smi().splitlines():
        driver, _, capability = row.partition(",")
        with suppress(ValueError):
            drivers.append(int(driver.split(".")[0]))
            capabilities.append(float(capability))
    old_driver = min(drivers, default=CUDA_13_DRIVER) < CUDA_13_DRIVER
    if max(capabilities, default=0) >= BLACKWELL:
        if old_driver:
            raise BackendError(
                f"The graphics card needs a newer driver: this one is version {min(drivers)}."
                f" Update the NVIDIA driver to {CUDA_13_DRIVER} or newer, or use the processor."
            )
        return "cuda"
    old_card = min(capabilities, default=CUDA_13_CAPABILITY) < CUDA_13_CAPABILITY
    return "cuda126" if old_driver or old_card else "cuda"


def ask_nvidia_smi() -> str:
    """`driver, compute capability` of each card, a line each; empty where there is none."""
    command = ["nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def is_cpu_build(version: str) -> bool:
    """Builds without a local tag are PyPI's: for CUDA on Linux, for the processor elsewhere."""
    return version.endswith("+cpu") or ("+" not in version and not sys.platform.startswith("linux"))
