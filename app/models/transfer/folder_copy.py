"""Copy a model from a folder or a USB stick; runs in a process of its own: a stick may hang."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from app.models.transfer import disk_space, installation
from app.models.transfer.file_names import SMALL, plain_name
from app.models.transfer.hashes import discard_damaged, expected_hash
from app.models.transfer.messages import Checked, Done, ImportOrder, OnReport
from app.models.transfer.progress_reporter import ProgressReporter
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.files import INDEX
from engine.protocol.errors import FaultError

CHUNK_BYTES = 1 << 22
COARSEST_TIME_NS = 2 * 10**9
"""A FAT disk tells no finer."""


def copy_model(order: ImportOrder, on_report: OnReport) -> None:
    """Raises FaultError. Files that an earlier try has copied whole are not copied again."""
    source, folder = Path(order.source), Path(order.folder)
    files = _needed_files(source)
    total = sum(file.st_size for file in files.values())
    origin = installation.read_record(source) or installation.InstallRecord()
    hashes = {name: hash_ for name in files if (hash_ := expected_hash(source, name, origin.hashes))}
    record = msgspec.structs.replace(origin, source=order.source, total_bytes=total, hashes=hashes)
    grown = installation.partial(folder)
    meter = ProgressReporter(on_report)
    with disk_space.writing_to(folder):
        grown.mkdir(parents=True, exist_ok=True)
        here = {name for name, file in files.items() if _is_copied(grown / name, file)}
        done = sum(files[name].st_size for name in here)
        disk_space.check_room(grown, total - done)
        installation.write_record(grown, record)
        on_report(Checked(revision="", licence=record.licence, total_bytes=total))
        meter.start("downloading", done, total)
        for name in (name for name in files if name not in here):
            with (grown / name).open("wb") as out:
                for chunk in _chunks(source / name):
                    out.write(chunk)
                    meter.add(len(chunk))
                if out.tell() != files[name].st_size:
                    raise _lost(source / name, "it has changed while it was copied")
                out.flush()
                os.fsync(out.fileno())
            with suppress(OSError):  # a disk that keeps no times: a resumed copy begins anew
                os.utime(grown / name, ns=(files[name].st_atime_ns, files[name].st_mtime_ns))
        if hashes:
            meter.start("verifying", 0, sum(files[name].st_size for name in hashes))
        if damaged := discard_damaged(grown, hashes, meter):
            raise _damaged(source, damaged)
        installation.install(folder)
    on_report(Done())


def _needed_files(source: Path) -> dict[str, os.stat_result]:
    """By name, of a model that is whole. Raises FaultError."""
    try:
        if not source.exists():
            raise FileNotFoundError(errno.ENOENT, "it is not there")
        weights = Checkpoint.open(source).weight_files
        names = [*SMALL, INDEX, *(os.path.relpath(file, source) for file in weights)]
        files = {name: (source / name).stat() for name in names if (source / name).is_file()}
    except FaultError as error:
        if isinstance(error.__cause__, OSError):
            raise _lost(source, str(error.__cause__.strerror)) from error
        raise FaultError(
            "unfit", error.fault.message, "Choose another folder.", error.fault.details
        ) from error
    except OSError as error:
        raise _lost(source, str(error.strerror)) from error
    if not all(plain_name(name) for name in names):
        raise FaultError(
            "unfit", f"The weights of “{source}” lie in several folders.", "Choose another model."
        )
    return files


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise _lost(path, str(error.strerror)) from error


def _lost(path: Path, why: str) -> FaultError:
    return FaultError(
        "folder",
        f"“{path}” cannot be read: {why}.",
        "Check that the disk or stick is still connected, and try again.",
    )


def _damaged(source: Path, names: list[str]) -> FaultError:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return FaultError(
        "damaged",
        f"Not as it was when it was downloaded: “{names[0]}”{more}.",
        f"Try again. If it happens again, “{source}” is damaged: import another copy, or download the model.",
        ", ".join(names),
    )


def _is_copied(path: Path, original: os.stat_result) -> bool:
    """A copy gets the original's time when it is whole; other weights may have the same size."""
    if not path.is_file():
        return False
    there = path.stat()
    apart_ns = abs(there.st_mtime_ns - original.st_mtime_ns)
    return there.st_size == original.st_size and apart_ns <= COARSEST_TIME_NS
