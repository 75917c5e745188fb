"""Write a file at once or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QIODevice, QSaveFile


def write_atomically(path: Path, data: bytes, check: Callable[[], object] | None = None) -> None:
    """Raises OSError with the system's reason. check: called when the bytes are written and not yet in the
    file's place; what it raises keeps them from it. The old file is whole then.
    """
    file = QSaveFile(str(path))
    if not file.open(QIODevice.OpenModeFlag.WriteOnly):
        raise OSError(file.errorString())
    try:
        if file.write(data) != len(data) or not file.flush():
            raise OSError(file.errorString())
        if check:
            check()
    except BaseException:
        file.cancelWriting()
        file.commit()
        raise
    if not file.commit():
        raise OSError(file.errorString())
