"""The files that were open last, and where the caret was in them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec
import platformdirs

from app.documents.atomic_file import read_ordinary, write_atomically
from engine.protocol.file_format import NewerFormatError, check_format

MOST = 10
FORMAT = 1
"""Without a number: a list has no place for one. Those to come are objects."""
_log = logging.getLogger(__name__)


class RecentFile(msgspec.Struct, frozen=True):
    path: str
    caret: int = 0
    """UTF-16 units from the text's start."""


class RecentFiles:
    """Kept in a file; where that cannot be written, or is a newer version's, for this run."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or platformdirs.user_state_path("mezzotint", appauthor=False) / "recent.json"
        self._kept: list[RecentFile] = []
        self._is_newer = False

    def all(self) -> list[RecentFile]:
        """The newest first, without those that are gone."""
        return [recent for recent in self._read() if os.path.isfile(recent.path)]

    def caret_in(self, path: Path) -> int:
        return next((recent.caret for recent in self._read() if recent.path == str(path)), 0)

    def put(self, path: Path, caret: int) -> None:
        others = [recent for recent in self._read() if recent.path != str(path)]
        self._write([RecentFile(str(path), caret), *others][:MOST])

    def clear(self) -> None:
        self._read()
        self._write([])

    def _read(self) -> list[RecentFile]:
        """What another window has put there counts."""
        try:
            data = read_ordinary(self._file)
            check_format(data, FORMAT)
            self._kept = msgspec.json.decode(data, type=list[RecentFile])
        except FileNotFoundError:
            pass
        except NewerFormatError:
            self._is_newer = True
        except (OSError, msgspec.DecodeError) as error:
            _log.info("The list of recent files cannot be read: %s", error)
        return self._kept

    def _write(self, files: list[RecentFile]) -> None:
        self._kept = files
        if self._is_newer:
            return
        try:
            data = msgspec.json.encode(files)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, data)
        except (OSError, UnicodeEncodeError) as error:  # a name may hold bytes that are no text
            _log.info("The list of recent files cannot be kept: %s", error)
