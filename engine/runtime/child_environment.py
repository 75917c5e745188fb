"""The environment of child processes."""

from __future__ import annotations

import os

from engine.installation import package_environment


def child_environment() -> dict[str, str]:
    return {
        **os.environ,
        **package_environment(),
        # glibc would give a step's memory back to the system and ask for it again, page by page.
        "MALLOC_MMAP_THRESHOLD_": str(2**25),
        "MALLOC_TRIM_THRESHOLD_": str(2**28),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
