"""What a set-up would bring: told before anything is fetched."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.engine_setup.lock import LOCKS, Lock, lock_file, read_lock
from app.engine_setup.set_up import UNPACKED
from engine.hardware.backend import BUILDS, BackendError, find_backend


@dataclass(frozen=True)
class SetUpPlan:
    """One build of PyTorch, for this machine."""

    backend: str
    lock: Lock
    free_bytes: int

    @property
    def label(self) -> str:
        return BUILDS[self.backend][0]

    @property
    def download_bytes(self) -> int:
        return self.lock.total_bytes

    @property
    def disk_bytes(self) -> int:
        """About how much it takes once it is set up."""
        return UNPACKED * self.lock.total_bytes


@dataclass(frozen=True)
class Plans:
    """What can be set up on this machine."""

    found: str
    """The build that suits it; empty if none does."""
    problem: str
    """Why none does, or why another one has to be taken."""
    plans: dict[str, SetUpPlan]

    @property
    def best(self) -> str:
        if self.found in self.plans:
            return self.found
        return "cpu" if "cpu" in self.plans else next(iter(self.plans), "")


def make_plans(folder: Path, locks: Path = LOCKS) -> Plans:
    """folder: where the environment would lie. May wait for a driver."""
    found = problem = ""
    try:
        found = find_backend()
    except BackendError as error:
        problem = str(error)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    plans = {}
    for backend in BUILDS:
        with suppress(OSError, ValueError):
            plans[backend] = SetUpPlan(backend, read_lock(lock_file(backend, locks)), free)
    if found and found not in plans:
        problem = f"This version of Mezzotint does not come with the list of parts for {BUILDS[found][0]}."
    return Plans(found, problem, plans)
