"""This installation: its Python, packages and resources, and the command that repairs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""Holds the packages."""
RESOURCES = ROOT / "resources"
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
