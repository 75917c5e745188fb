"""Read an ordinary file; write one at once or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable
from io import FileIO
from itertools import count
from pathlib import Path

from PySide6.QtCore import QIODevice, QSaveFile

Step = Callable[[], object]


def read_ordinary(path: Path) -> bytes:
    """Raises OSError for what is none: to open a pipe is to wait for ever."""
    check_ordinary(path)
    return path.read_bytes()


def check_ordinary(path: Path) -> None:
    """Raises OSError for what is there and is none."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))


def set_aside(path: Path) -> Path:
    """A file that cannot be read, under a name that is free → its name now. Raises OSError."""
    names = (path.with_name(f"{path.name}.unreadable{n or ''}") for n in count())
    return path.rename(next(name for name in names if not os.path.lexists(name)))


def write_atomically(
    path: Path, data: bytes, check: Step | None = None, before_in_place: Step | None = None
) -> None:
    """Raises OSError with the system's reason; the old file is whole then.

    check: called before the bytes are in the file's place; what it raises keeps them from it.
    before_in_place: called where the folder takes no new file, or where only the old one keeps its links, its
    owner or its attributes, before that is written over, which a crash could cut short; what it raises keeps
    the old one. Without it such a file is not written, or replaced by a plain one.
    """
    check_ordinary(path)  # root could put a file in a device's place
    file = QSaveFile(str(path))
    opened = file.open(QIODevice.OpenModeFlag.WriteOnly)
    try:
        if opened and (file.write(data) != len(data) or not file.flush()):
            raise _error(file, path, len(data))
        if check:
            check()
        if opened and not _hand_on(path, file) and before_in_place is not None:
            opened = False
            file.cancelWriting()
    except BaseException:
        file.cancelWriting()
        file.commit()
        raise
    if file.commit() and opened:
        return
    if before_in_place is None or not (path.is_file() and os.access(path, os.W_OK)):
        raise _error(file, path, len(data))
    before_in_place()
    _write_in_place(path, data)


def _hand_on(path: Path, file: QSaveFile) -> bool:
    """Give the new file what the old one has. False where only the old one can have it."""
    if not path.exists():
        return True
    old = path.stat()
    if sys.platform == "win32" or old.st_nlink > 1:
        return old.st_nlink == 1
    new = file.handle()
    with contextlib.suppress(OSError):
        os.fchown(new, old.st_uid, old.st_gid)
        os.fchmod(new, stat.S_IMODE(old.st_mode))
    if sys.platform == "linux":
        for name, value in _attributes(path).items():
            with contextlib.suppress(OSError):
                os.setxattr(new, name, value)
    return _traits(old, path) == _traits(os.fstat(new), new)


def _traits(status: os.stat_result, file: Path | int) -> tuple[object, ...]:
    return status.st_uid, status.st_gid, status.st_mode, _attributes(file)


def _attributes(file: Path | int) -> dict[str, bytes]:
    """Access lists are among them."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a file system without any
            return {name: os.getxattr(file, name) for name in os.listxattr(file)}
    return {}


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
        except OSError as error:
            try:
                _overwrite(file, old)
            except OSError:
                reason = f"{error.strerror}; the file may be damaged now"
                raise OSError(error.errno, reason) from error
            raise


def _overwrite(file: FileIO, data: bytes) -> None:
    """The file becomes shorter last: until then no place on the disk is given up."""
    file.seek(0)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    file.truncate()
    os.fsync(file.fileno())
