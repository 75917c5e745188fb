"""The main memory of this computer."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path


def ram() -> tuple[int, int]:
    """Total and available bytes; 0 where the system does not tell."""
    info = Path("/proc/meminfo")
    if info.is_file():
        sizes = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        total, free = (int(sizes.get(key, "0 kB").split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
        return total, free
    if platform.system() == "Windows":
        return _windows()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), 0
    except (ValueError, OSError):
        return 0, 0


def _windows() -> tuple[int, int]:
    """GlobalMemoryStatusEx: dwLength and dwMemoryLoad (4 bytes each), then ullTotalPhys and ullAvailPhys."""
    status = (ctypes.c_uint64 * 8)()
    status[0] = ctypes.sizeof(status)
    windll = getattr(ctypes, "windll")  # noqa: B009 - it exists on Windows only
    if not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return 0, 0
    return status[1], status[2]
