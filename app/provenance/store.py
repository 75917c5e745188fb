"""Where the records are kept: beside no document, in the data folder."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec
import platformdirs

from app.documents.atomic_file import read_ordinary, set_aside, write_atomically
from app.provenance.record import FORMAT, Record
from engine.protocol.file_format import NewerFormatError, check_format

MOST_RECORDS = 1000
"""More than these: those go that were not used for the longest."""
SUFFIX = ".json"
_log = logging.getLogger(__name__)


def records_folder() -> Path:
    return platformdirs.user_data_path("mezzotint") / "provenance"


def write_record(path: Path, record: Record) -> None:
    """In place of those of that document before; none, where nothing is marked. Raises OSError."""
    folder, former = records_folder(), _of_document(path)
    file = folder / f"{_key(os.fsencode(path.resolve()))}-{record.digest[:16]}{SUFFIX}"
    if record.marked:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_newer(file):
            write_atomically(file, msgspec.json.encode(record))
        for old in sorted(folder.glob(f"*{SUFFIX}"), key=_used_at)[:-MOST_RECORDS]:
            old.unlink(missing_ok=True)
    for old in former:
        if (old != file or not record.marked) and not _is_newer(old):
            old.unlink(missing_ok=True)


def read_record(path: Path, digest: str) -> tuple[Record | None, Path | None]:
    """That of the file's very bytes, by whatever name, else the last of the document → and what could not be
    read, where it was set aside.
    """
    same = sorted(records_folder().glob(f"*-{digest[:16]}{SUFFIX}"), key=_used_at, reverse=True)
    kept_aside = None
    for file in (*same, *sorted(_of_document(path), key=_used_at, reverse=True)):
        try:
            data = read_ordinary(file)
            check_format(data, FORMAT)
            record = msgspec.json.decode(data, type=Record)
        except NewerFormatError:
            continue
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            _log.warning("The record %s of what was drafted could not be read: %s", file, error)
            with suppress(OSError):
                kept_aside = set_aside(file)
            continue
        with suppress(OSError):
            os.utime(file)
        return record, kept_aside
    return None, kept_aside


def _of_document(path: Path) -> list[Path]:
    return list(records_folder().glob(f"{_key(os.fsencode(path.resolve()))}-*{SUFFIX}"))


def _key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _used_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _is_newer(file: Path) -> bool:
    try:
        check_format(read_ordinary(file), FORMAT)
    except NewerFormatError:
        return True
    except OSError:
        return False
    return False
