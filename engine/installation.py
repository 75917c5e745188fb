"""This installation: its kind, the engine's Python, packages and resources, and how it is repaired."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Literal

import platformdirs

FROZEN = getattr(sys, "frozen", False)
ROOT = Path(sys._MEIPASS, "source") if FROZEN else Path(__file__).resolve().parents[1]  # type: ignore[attr-defined]
"""Holds the packages as source files; the built app carries those that its engine's own Python runs."""
RESOURCES = ROOT / "resources"
BUILT_FILE = ROOT / "built.json"
"""In the built app alone: its version. Sources with such a file beside them are taken for one."""
KIND: Literal["checkout", "package", "built"] = (
    "built" if BUILT_FILE.is_file() else "checkout" if (ROOT / "pyproject.toml").is_file() else "package"
)
UV = ROOT / "bin" / ("uv.exe" if os.name == "nt" else "uv")
"""In the built app alone: what makes the engine's own environment."""
ACTIVE_FILE = "active.json"
FORMAT = 1
"""Of the files in engine_home()."""


def engine_home() -> Path:
    """Where the built app keeps its engine's Python and packages."""
    return platformdirs.user_data_path("mezzotint") / "engine"


def active_environment(home: Path | None = None) -> Path | None:
    """The environment that the engine runs in; None if none has been set up, or it has been deleted."""
    home = home or engine_home()
    try:
        name = json.loads((home / ACTIVE_FILE).read_bytes())["environment"]
        environment = home / Path(name).name
        return environment if python_of(environment).exists() else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def engine_python() -> Path | None:
    """The Python that runs the engine and downloads; None until the built app has set one up."""
    if KIND != "built":
        return Path(sys.executable)
    environment = active_environment()
    return python_of(environment) if environment else None


def python_command(module: str, *arguments: str) -> tuple[str, ...] | None:
    """Runs a module of Mezzotint as a program; needs package_environment(). None without a Python for it."""
    python = engine_python()
    return (str(python), "-m", module, *arguments) if python else None


def package_environment() -> dict[str, str]:
    """Variables with which `-m` finds Mezzotint's packages, and none of the same name in the working
    directory; and torch keeps what it compiles in Mezzotint's cache.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    compiled = platformdirs.user_cache_path("mezzotint") / "inductor"
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
        "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(compiled)),
    }


def how_to_reinstall(build: Literal["", "cuda126"] = "") -> str:
    """What installs PyTorch again, to be said within a sentence: in the build that suits this machine, or in
    the one that is named.
    """
    name = "CUDA 12.6"
    if KIND == "built":
        return (
            f"choose the build for {name} in Settings › Engine"
            if build
            else "press Repair in Settings › Engine"
        )
    if KIND == "package":
        return f"install torch{f' for {name}' if build else ''} again, as pytorch.org says"
    command = "run “python3 packaging/dev.py run”"
    if build:
        return f"set MEZZOTINT_TORCH={build} and {command}"
    return f"{command}{' with MEZZOTINT_TORCH unset' if 'MEZZOTINT_TORCH' in os.environ else ''}"
