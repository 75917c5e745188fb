"""Starts what is measured in processes of their own, none of which touches the user's settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOMES = tempfile.TemporaryDirectory(prefix="mezzotint-bench-")  # gone when the measuring ends


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Python at the module, with folders of its own and, unless told otherwise, without a display."""
    home = tempfile.mkdtemp(dir=HOMES.name)
    folders = {f"XDG_{name}_HOME": f"{home}/{name}" for name in ("CONFIG", "DATA", "CACHE", "STATE")}
    environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ, **folders}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # no writer's Python compiles the app at each start
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def measured(name: str, module: str = "tests.bench.app_probes") -> dict[str, Any]:
    """What the probe of this name found."""
    child = start(module, name)
    said, _ = child.communicate()
    if child.returncode:
        raise SystemExit(f"The probe {name!r} failed (see above).")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found
