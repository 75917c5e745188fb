"""The progress of a download, and the room there is for one, in words."""

from __future__ import annotations

import re

from app.models.download_job import DownloadJob, DownloadState
from app.models.transfer.disk_space import SPARE_BYTES
from engine.checkpoints.units import disk_text

_STATES = {
    DownloadState.QUEUED: "Waiting for its turn",
    DownloadState.CHECKING: "Looking it up",
    DownloadState.VERIFYING: "Checking what has arrived",
    DownloadState.PAUSED: "Paused",
    DownloadState.FAILED: "Stopped",
    DownloadState.DONE: "Done",
    DownloadState.CANCELLED: "Cancelling",
}


def unbroken(text: str) -> str:
    """With no line ending between a number of bytes and its unit."""
    return re.sub(r"(?<=\d) (?=[kMG]B\b)", "\u00a0", text)


def progress_text(download: DownloadJob) -> str:
    """What it is doing; a fault is told elsewhere."""
    amount = ""
    if download.total_bytes:
        amount = f"{disk_text(download.done_bytes)} of {disk_text(download.total_bytes)}"
        unit = amount[-3:]
        amount = amount.replace(f"{unit} of", " of")
    if download.waiting:
        again = f"{download.waiting.rstrip('.')} · trying again {_soon(download.waiting_s)}"
        return "\n".join(filter(None, (again, amount)))
    if download.state is not DownloadState.DOWNLOADING:
        between = "\n" if download.state is DownloadState.VERIFYING else " · "
        return between.join(filter(None, (_STATES.get(download.state, ""), amount)))
    bytes_per_s = download.rate.bytes_per_s
    rate = f"{disk_text(round(bytes_per_s))}/s" if bytes_per_s else ""
    if 0 < bytes_per_s < 1e6:
        rate = f"{bytes_per_s / 1e3:.0f} kB/s"
    left = time_left(download.seconds_left)
    return "\n".join(filter(None, (" · ".join(filter(None, (amount, rate))), left)))


def disk_room_text(needed_bytes: int, free_bytes: int, packed_bytes: int) -> str:
    """What the disk has for a download that has not begun. packed_bytes: of the copy that a load keeps."""
    free = f"{disk_text(free_bytes)} free on this disk"
    if not has_room(needed_bytes, free_bytes):
        return f"{free}: not enough"
    if not packed_bytes:
        return free
    enough = "" if has_room(needed_bytes + packed_bytes, free_bytes) else ": not enough for it"
    return f"{free}\nA smaller copy, which loads faster, takes {disk_text(packed_bytes)} more{enough}"


def has_room(needed_bytes: int, free_bytes: int) -> bool:
    return needed_bytes + SPARE_BYTES <= free_bytes


def time_left(seconds: float | None) -> str:
    """Rounded to what a reader takes in; empty while nobody knows."""
    if seconds is None:
        return ""
    minutes = seconds / 60
    if minutes < 1:
        return "Less than a minute left"
    if minutes < 90:
        return f"About {_counted(minutes, 'minute')} left"
    large = _counted(minutes / 60, "hour") if minutes < 36 * 60 else _counted(minutes / 1440, "day")
    return f"About {large} left"


def _soon(seconds: float) -> str:
    if seconds < 0.5:
        return "now"
    return f"in {_counted(seconds, 'second') if seconds < 59.5 else _counted(seconds / 60, 'minute')}"


def _counted(count: float, unit: str) -> str:
    whole = round(count)
    return f"{whole} {unit}{'' if whole == 1 else 's'}"
