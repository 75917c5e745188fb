"""Share the processor with the writer, whose keys come first."""

from __future__ import annotations

import sys
from contextlib import suppress

import psutil

STEPS_DOWN, LOWEST = 10, 19  # of Unix niceness


def spare_cores() -> int:
    """The cores that this process may use, less one for the writer; at least one."""
    process = psutil.Process()
    try:
        cores = len(process.cpu_affinity() or ())
    except (AttributeError, psutil.Error):  # macOS has no affinity, a sandbox may forbid it
        cores = psutil.cpu_count() or 1
    return max(1, cores - 1)


def lower_priority(pid: int | None = None) -> None:
    """Of that process, or of this one, for good. A system that refuses is left alone."""
    with suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(min(LOWEST, process.nice() + STEPS_DOWN))
