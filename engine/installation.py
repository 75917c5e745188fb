"""This installation: its kind, Python, packages and resources, and the command that repairs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

FROZEN = getattr(sys, "frozen", False)
ROOT = Path(sys._MEIPASS, "source") if FROZEN else Path(__file__).resolve().parents[1]  # type: ignore[attr-defined]
"""Holds the packages as source files; the built app carries those that its engine's own Python runs."""
RESOURCES = ROOT / "resources"
BUILT_FILE = ROOT / "built.json"
"""In the built app alone: its version."""
KIND: Literal["checkout", "package", "built"] = (
    "built" if BUILT_FILE.is_file() else "checkout" if (ROOT / "pyproject.toml").is_file() else "package"
)
REPAIR_COMMAND = "python3 packaging/dev.py run"
"""Installs what is missing, or made for another machine, and starts the app."""


def python_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Runs a module of Mezzotint as a program; needs package_environment()."""
    return (sys.executable, "-m", module, *arguments)


def package_environment() -> dict[str, str]:
    """Variables with which `-m` finds Mezzotint's packages, and none of the same name in the working
    directory.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}
