"""Write a file at once or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from PySide6.QtCore import QIODevice, QSaveFile

Step = Callable[[], object]


def write_atomically(
    path: Path, data: bytes, check: Step | None = None, before_in_place: Step | None = None
) -> None:
    """Raises OSError with the system's reason; the old file is whole then.

    check: called before the bytes are in the file's place; what it raises keeps them from it.
    before_in_place: called where the folder takes no new file, before the old one is written over, which a
    crash could cut short; what it raises keeps the old one. Without it such a file is not written.
    """
    file = QSaveFile(str(path))
    opened = file.open(QIODevice.OpenModeFlag.WriteOnly)
    try:
        if opened and (file.write(data) != len(data) or not file.flush()):
            raise _error(file, path, len(data))
        if check:
            check()
    except BaseException:
        file.cancelWriting()
        file.commit()
        raise
    if opened and file.commit():
        return
    if before_in_place is None or not (path.is_file() and os.access(path, os.W_OK)):
        raise _error(file, path, len(data))
    before_in_place()
    _write_in_place(path, data)


def _error(file: QSaveFile, path: Path, size_bytes: int) -> OSError:
    """Qt tells no number, and of a full disk nothing at all."""
    full = shutil.disk_usage(path.parent).free < size_bytes
    return OSError(errno.ENOSPC if full else 0, file.errorString())


def _write_in_place(path: Path, data: bytes) -> None:
    """The old bytes come back where the new ones do not go."""
    with path.open("r+b", buffering=0) as file:
        old = file.read()
        try:
            _overwrite(file, data)
        except OSError:
            _overwrite(file, old)
            raise


def _overwrite(file: FileIO, data: bytes) -> None:
    """The file becomes shorter last: until then no place on the disk is given up."""
    file.seek(0)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    file.truncate()
    os.fsync(file.fileno())
