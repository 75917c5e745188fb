"""How far a download is, and what room there is for one, in words."""

from __future__ import annotations

from app.models.disk import SPARE_BYTES
from app.models.download import Download, State
from engine.plans import gigabytes

_STATES = {
    State.QUEUED: "Waiting for its turn",
    State.CHECKING: "Looking at what there is",
    State.VERIFYING: "Checking what has arrived",
    State.PAUSED: "Paused",
    State.DONE: "Done",
    State.CANCELLED: "Cancelling",
}


def progress(download: Download) -> str:
    """What it is doing; a fault is told elsewhere."""
    if download.waiting:
        return download.waiting
    amount = ""
    if download.total_bytes:
        amount = f"{gigabytes(download.done_bytes)} of {gigabytes(download.total_bytes)}"
    if download.state is not State.DOWNLOADING:
        return " · ".join(filter(None, (_STATES.get(download.state, ""), amount)))
    rate = f"{gigabytes(round(download.bytes_per_s))}/s" if download.bytes_per_s else ""
    if 0 < download.bytes_per_s < 1e6:
        rate = f"{download.bytes_per_s / 1e3:.0f} kB/s"
    left = time_left(download.seconds_left)
    return "\n".join(filter(None, (" · ".join(filter(None, (amount, rate))), left)))


def room(needed_bytes: int, free_bytes: int) -> str:
    """What the disk has for a download that has not begun."""
    enough = needed_bytes + SPARE_BYTES <= free_bytes
    return f"{gigabytes(free_bytes)} free on this disk{'' if enough else ': not enough'}"


def time_left(seconds: float | None) -> str:
    """Rounded to what a reader takes in; empty while nobody knows."""
    if seconds is None:
        return ""
    minutes = seconds / 60
    if minutes < 1:
        return "Less than a minute left"
    if minutes < 90:
        return _about(minutes, "minute")
    return _about(minutes / 60, "hour") if minutes < 36 * 60 else _about(minutes / 1440, "day")


def _about(count: float, unit: str) -> str:
    whole = round(count)
    return f"About {whole} {unit}{'' if whole == 1 else 's'} left"
