"""The main memory of this computer."""

from __future__ import annotations

from typing import NamedTuple


class SystemMemory(NamedTuple):
    """Bytes; 0 where the system does not tell."""

    total_bytes: int
    available_bytes: int


def memory_now() -> SystemMemory:
    # Slow, and no window has to wait for it.
    import psutil

    try:
        memory = psutil.virtual_memory()
    except (OSError, RuntimeError, LookupError, ValueError):  # a sandbox hides or garbles /proc
        return SystemMemory(0, 0)
    return SystemMemory(memory.total, memory.available)
