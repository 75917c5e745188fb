"""What the Engine page and the message bar say, from values."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from app.engine_setup.base_python import PYTHON_FILES
from app.engine_setup.fetch import PYPI_FILES
from app.engine_setup.lock import PYTHON, Lock
from app.engine_setup.messages import Progress
from app.engine_setup.plan import Plans, SetUpPlan
from app.models.download_rate import DownloadRate
from app.models.progress_text import time_left, unbroken
from engine.checkpoints.units import disk_text
from engine.hardware.backend import BUILDS

_STAGES = {
    "checking": "Looking for room",
    "listing": "Making the list of the parts",
    "verifying": "Checking what is here",
    "python": "Getting Python",
    "downloading": "Fetching",
    "reading": "Checking the files",
    "installing": "Installing",
    "trying": "Drafting a paragraph to try it",
    "clearing": "It drafts; clearing up",
}
_SHARES = {
    "python": 0.04,
    "downloading": 0.06,
    "reading": 0.06,
    "installing": 0.8,
    "trying": 0.95,
    "clearing": 0.98,
}
"""Of the whole, where these stages begin; the others at its beginning."""
_LENGTHS = {"verifying": 0.04, "python": 0.02, "downloading": 0.74, "reading": 0.74, "installing": 0.15}
_FETCHING = ("python", "downloading")


def share_of(progress: Progress) -> float:
    """Of the whole set-up, 0 … 1."""
    part = progress.done_bytes / progress.total_bytes if progress.total_bytes else 0.0
    return _SHARES.get(progress.stage, 0.0) + _LENGTHS.get(progress.stage, 0.0) * part


def progress_text(progress: Progress, rate: DownloadRate, waiting: str) -> str:
    lines = [_STAGES[progress.stage]]
    if progress.total_bytes and progress.stage in _LENGTHS:
        lines[0] += f" · {amount(progress)}"
    if waiting:
        lines.append(f"{waiting} It is tried again by itself.")
    elif progress.stage in _FETCHING:
        left = time_left(rate.seconds_left(progress.total_bytes - progress.done_bytes))
        lines.append(" · ".join(filter(None, (left, progress.name))))
    return unbroken("\n".join(filter(None, lines)))


def amount(progress: Progress) -> str:
    return f"{disk_text(progress.done_bytes)} of {disk_text(progress.total_bytes)}"


def plan_text(
    plan: SetUpPlan, plans: Plans, home: Path, mirror: str, python_mirror: str, *, is_here: bool
) -> str:
    """What is fetched, from where, and what it takes: before it begins. is_here: an engine is set up, of
    which what is whole is taken over.
    """
    about = "what is missing or broken, at most " if is_here else "" if plan.is_listed else "about "
    hosts = " and ".join(plan.hosts)
    if mirror:
        hosts = hosts.replace(urlsplit(PYPI_FILES).hostname or "", mirror)
    python_host = python_mirror or urlsplit(PYTHON_FILES).hostname
    python = "is on this computer" if plans.has_python else f"about 30 MB more, from {python_host}"
    lines = [
        f"To download: {about}{disk_text(plan.download_bytes)}, from {hosts}",
        f"Python {PYTHON}: {python}",
        f"On disk: about {disk_text(plan.disk_bytes)}; {disk_text(plans.free_bytes)} are free",
        f"In {home_path(home)}",
    ]
    if not plan.is_listed:
        lines.append(
            "This version comes without the list of its files: that is made from the index, over https, and"
            " their hashes are the index’s."
        )
    return unbroken("\n".join(lines))


def folder_text(plan: SetUpPlan, plans: Plans) -> str:
    """What the files on this computer must be that take the network's place."""
    wheels = len(plan.parts.wheels) if isinstance(plan.parts, Lock) else 0
    python = "" if plans.has_python else f", and Python {PYTHON} in a folder “python” beside them"
    return unbroken(
        f"For a computer without a network: a folder or a USB stick with the {wheels} files (.whl) that this"
        f" version is made with{python}. If one is missing, its name is told."
    )


def paused_text(is_beside: bool) -> str:
    """is_beside: an engine was there before, and is."""
    drafts = " Until then the engine that was there before goes on drafting." if is_beside else ""
    return f"The set-up has not ended. It goes on from where it was.{drafts}"


def home_path(folder: Path) -> str:
    with suppress(ValueError, RuntimeError):
        return str(Path("~", folder.relative_to(Path.home())))
    return str(folder)


def ready_text(backend: str, torch: str, size_bytes: int) -> str:
    size = f", {disk_text(size_bytes)} on disk" if size_bytes else ""
    return unbroken(f"The engine is set up for {what_for(backend)}: PyTorch {torch}{size}.")


def what_for(backend: str) -> str:
    return BUILDS.get(backend, (backend,))[0].partition(" (no ")[0]


def update_text(plan: SetUpPlan) -> str:
    size = disk_text(plan.download_bytes)
    return unbroken(
        f"This version of Mezzotint goes with newer parts of the engine: at most {size} to download."
    )
