"""The files that were open last, and where the caret was in them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec
import platformdirs
from PySide6.QtCore import QIODevice, QSaveFile

from app.documents.atomic_file import read_ordinary

MOST = 10
_log = logging.getLogger(__name__)


class RecentFile(msgspec.Struct, frozen=True):
    path: str
    caret: int = 0
    """UTF-16 units from the text's start."""


class RecentFiles:
    """Kept in a file; where that cannot be written, for this run."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or platformdirs.user_state_path("mezzotint", appauthor=False) / "recent.json"
        self._kept: list[RecentFile] = []

    def all(self) -> list[RecentFile]:
        """The newest first, without those that are gone."""
        return [recent for recent in self._read() if os.path.isfile(recent.path)]

    def caret_in(self, path: Path) -> int:
        return next((recent.caret for recent in self._read() if recent.path == str(path)), 0)

    def put(self, path: Path, caret: int) -> None:
        others = [recent for recent in self._read() if recent.path != str(path)]
        self._write([RecentFile(str(path), caret), *others][:MOST])

    def clear(self) -> None:
        self._write([])

    def _read(self) -> list[RecentFile]:
        """What another window has put there counts."""
        try:
            self._kept = msgspec.json.decode(read_ordinary(self._file), type=list[RecentFile])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            _log.info("The list of recent files cannot be read: %s", error)
        return self._kept

    def _write(self, files: list[RecentFile]) -> None:
        self._kept = files
        try:
            data = msgspec.json.encode(files)
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, UnicodeEncodeError) as error:  # a name may hold bytes that are no text
            _log.info("The list of recent files cannot be kept: %s", error)
            return
        file = QSaveFile(str(self._file))
        if not (file.open(QIODevice.OpenModeFlag.WriteOnly) and file.write(data) >= 0 and file.commit()):
            _log.info("The list of recent files cannot be kept: %s", file.errorString())
