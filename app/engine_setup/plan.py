"""What a set-up would bring: told before anything is fetched."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.engine_setup.base_python import find_python
from app.engine_setup.commands import Uv
from app.engine_setup.fetch import PYPI_FILES
from app.engine_setup.home import EngineHome
from app.engine_setup.lock import LOCKS, PLATFORM_BUILDS, PYTHON, Lock, Requirements, parts_of, this_platform
from app.engine_setup.set_up import unpacked_bytes
from engine.checkpoints.files import free_bytes
from engine.hardware.backend import BUILDS, BackendError, find_backend
from engine.installation import UV
from engine.protocol.errors import FaultError


@dataclass(frozen=True)
class SetUpPlan:
    """One build of PyTorch, for this machine."""

    backend: str
    parts: Lock | Requirements

    @property
    def is_listed(self) -> bool:
        """Whether this version comes with the list of its parts; else sizes are estimates."""
        return isinstance(self.parts, Lock)

    @property
    def download_bytes(self) -> int:
        return (
            self.parts.total_bytes if isinstance(self.parts, Lock) else round(BUILDS[self.backend][1] * 1e9)
        )

    @property
    def disk_bytes(self) -> int:
        """About how much it takes once it is set up."""
        if isinstance(self.parts, Lock):
            return unpacked_bytes(self.parts)
        return round(BUILDS[self.backend][2] * 1e9)

    @property
    def hosts(self) -> tuple[str, ...]:
        if isinstance(self.parts, Lock):
            return self.parts.hosts
        return urlsplit(self.parts.index).hostname or "", urlsplit(PYPI_FILES).hostname or ""


@dataclass(frozen=True)
class Plans:
    """What can be set up on this machine."""

    found: str
    """The build that suits it; empty if none does."""
    problem: str
    """Why none does."""
    plans: dict[str, SetUpPlan]
    has_python: bool
    free_bytes: int

    @property
    def best(self) -> str:
        if self.found in self.plans:
            return self.found
        return "cpu" if "cpu" in self.plans else next(iter(self.plans), "")


def make_plans(home: EngineHome, locks: Path = LOCKS, uv: Path = UV) -> Plans:
    """Looks at the machine alone, not at the network. May wait for a driver."""
    found = problem = ""
    try:
        found = find_backend()
    except BackendError as error:
        problem = str(error)
    plans = {}
    for backend in PLATFORM_BUILDS.get(this_platform(), ()):
        with suppress(OSError, ValueError):
            plans[backend] = SetUpPlan(backend, parts_of(backend, locks))
    has_python = False
    try:
        has_python = find_python(Uv(home, "", threading.Event(), uv), PYTHON) is not None
    except FaultError as error:
        problem = f"{error.fault.message} {error.fault.remedy}"
    if not (plans or problem):
        problem = "PyTorch does not come for this kind of computer: nothing can be drafted here."
    free = free_bytes(home.folder)
    if not free:
        problem = f"“{home.folder}” cannot be reached, or its disk is full: connect it, or make room."
    return Plans(found, problem, plans, has_python, free)
