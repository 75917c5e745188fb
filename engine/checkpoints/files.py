"""The files of a model folder, and where its packed copies lie."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

from engine.protocol.errors import FaultError, weights_broken

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def free_bytes(folder: Path) -> int:
    """Free on the disk where the folder is, or would be; 0 where not even its drive can be reached."""
    for path in (folder, *folder.parents):
        with suppress(OSError):
            return shutil.disk_usage(path).free
    return 0


def packed_copy_folder(folder: Path, precision: str, root: Path) -> Path:
    """Of the model in that folder, and of no other of the same name."""
    place = folder.resolve()
    key = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    name = os.fsencode(place.name)[:100].decode(errors="ignore")  # the copy's, being written, is longer still
    return root / f"{name}-{key}-{precision}"


def existing(path: Path) -> Path:
    """Raises weights-missing."""
    if not path.is_file():
        message = f"The model is not complete: {path} is missing."
        raise FaultError("weights-missing", message, "Download the model again, or choose another folder.")
    return path


def read_file(path: Path) -> bytes:
    """Raises weights-missing."""
    try:
        return existing(path).read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> FaultError:
    """Not damaged: somebody else's, on a disk that is gone or fails, or more files are open than may be."""
    return FaultError(
        "weights-missing",
        f"The model cannot be read: {path}: {getattr(error, 'strerror', None) or error}.",
        "Look whether its disk is there and Mezzotint may read that folder, or choose another one.",
    )


def damaged(path: Path, details: str) -> FaultError:
    return weights_broken(f"The model cannot be read: {path} is damaged or cut short.", details)
