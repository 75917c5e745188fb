"""Check the room on the disk, and explain why it cannot be written to."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.checkpoints.units import disk_text
from engine.protocol.errors import FaultError, reason_of

SPARE_BYTES = 10**9
FULL = (errno.ENOSPC, errno.EDQUOT)


def check_room(folder: Path, missing_bytes: int) -> None:
    """Raises FaultError unless the disk takes that much and SPARE_BYTES are left."""
    free = shutil.disk_usage(folder).free
    if missing_bytes + SPARE_BYTES > free:
        raise FaultError(
            "disk",
            f"There is not enough room: this model needs {disk_text(missing_bytes)} more, "
            f"{disk_text(SPARE_BYTES)} should stay free, and the disk has {disk_text(free)} free.",
            "Make room on the disk and try again.",
            str(folder),
        )


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turns an OSError inside into a FaultError."""
    try:
        yield
    except OSError as error:
        raise _fault(error, folder) from error


def _fault(error: OSError, folder: Path) -> FaultError:
    if error.errno in FULL:
        return FaultError(
            "disk",
            "The disk is full. What is there so far is kept.",
            "Make room on the disk, then resume.",
            str(error),
        )
    if error.errno == errno.EFBIG:
        return FaultError(
            "disk", "This disk cannot hold files as large as this model’s.", "Use another disk.", str(error)
        )
    reason, remedy = reason_of(error)
    told = f"“{folder if remedy else folder.parent}” cannot be written to: {reason}."
    return FaultError("folder", told, remedy or "Allow Mezzotint to write there, then try again.", str(error))
