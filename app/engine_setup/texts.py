"""What the Engine page and the message bar say, from values."""

from __future__ import annotations

from pathlib import Path

from app.engine_setup.lock import Lock
from app.engine_setup.messages import Progress
from app.engine_setup.plan import SetUpPlan
from app.models.download_rate import DownloadRate
from app.models.progress_text import time_left, unbroken
from engine.checkpoints.units import disk_text
from engine.hardware.backend import BUILDS

_STAGES = {
    "checking": "Looking for room",
    "python": "Getting Python",
    "downloading": "Fetching",
    "installing": "Installing",
    "trying": "Drafting a paragraph to try it",
}
_SHARES = {"checking": 0.0, "python": 0.0, "downloading": 0.0, "installing": 0.8, "trying": 0.95}
"""Of the whole, where a stage begins."""
_LENGTHS = {"downloading": 0.8, "installing": 0.15}


def share_of(progress: Progress) -> float:
    """Of the whole set-up, 0 … 1."""
    part = progress.done_bytes / progress.total_bytes if progress.total_bytes else 0.0
    return _SHARES[progress.stage] + _LENGTHS.get(progress.stage, 0.0) * part


def progress_text(progress: Progress, rate: DownloadRate, waiting: str) -> str:
    lines = [_STAGES[progress.stage]]
    if waiting:
        lines.insert(0, f"{waiting} It goes on by itself.")
    elif progress.total_bytes and progress.stage in _LENGTHS:
        lines[0] += f" · {amount(progress)}"
        if rate.bytes_per_s > 0 and progress.stage == "downloading":
            left = progress.total_bytes - progress.done_bytes
            lines.append(time_left(rate.seconds_left(left)))
    return unbroken("\n".join(filter(None, lines)))


def amount(progress: Progress) -> str:
    return f"{disk_text(progress.done_bytes)} of {disk_text(progress.total_bytes)}"


def plan_text(plan: SetUpPlan, home: Path, mirror: str) -> str:
    """What is fetched, from where, and what it takes: before it begins."""
    hosts = mirror or ", ".join(plan.lock.hosts)
    return unbroken(
        f"{disk_text(plan.download_bytes)} to download from {hosts}; from uv’s own server Python"
        f" {plan.lock.python}, about 30 MB, if this computer has none.\n"
        f"About {disk_text(plan.disk_bytes)} on disk, in {home}; {disk_text(plan.free_bytes)} are free there."
    )


def ready_text(backend: str, torch: str, size_bytes: int) -> str:
    size = f", {disk_text(size_bytes)} on disk" if size_bytes else ""
    return unbroken(f"The engine is set up for {what_for(backend)}: PyTorch {torch}{size}.")


def what_for(backend: str) -> str:
    return BUILDS.get(backend, (backend,))[0].partition(" (no ")[0]


def update_text(lock: Lock) -> str:
    size = disk_text(lock.total_bytes)
    return unbroken(f"This version of Mezzotint goes with newer parts of the engine: {size} to download.")
