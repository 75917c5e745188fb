"""The environment of child processes."""

from __future__ import annotations

import os
from pathlib import Path


def module_path_environment() -> dict[str, str]:
    """Variables with which `-m` finds Mezzotint's packages, and none of the same name in the working
    directory.
    """
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}


def child_environment() -> dict[str, str]:
    return {
        **os.environ,
        **module_path_environment(),
        # glibc would give a step's memory back to the system and ask for it again, page by page.
        "MALLOC_MMAP_THRESHOLD_": str(2**25),
        "MALLOC_TRIM_THRESHOLD_": str(2**28),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
