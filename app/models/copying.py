"""Copies a model from a folder or a USB stick. Runs in a process of its own: a stick may hang."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from app.models import disk, library
from app.models.messages import Checked, Done, ImportOrder, ModelError, Tell
from app.models.meter import Meter
from engine.catalogue import INDEX, check_files
from engine.errors import EngineError

CHUNK_BYTES = 1 << 22


def copy_model(order: ImportOrder, tell: Tell) -> None:
    """Raises ModelError. Files that an earlier try has copied whole are not copied again."""
    source, folder = Path(order.source), Path(order.folder)
    sizes = _needed_files(source)
    total = sum(sizes.values())
    origin = library.read_record(source) or library.Record()
    record = msgspec.structs.replace(origin, source=order.source, total_bytes=total)
    grown = library.partial(folder)
    meter = Meter(tell)
    with disk.writing_to(folder):
        grown.mkdir(parents=True, exist_ok=True)
        here = {name for name, size in sizes.items() if _size(grown / name) == size}
        done = sum(sizes[name] for name in here)
        disk.check_room(grown, total - done)
        library.write_record(grown, record)
        tell(Checked(revision="", licence=record.licence, total_bytes=total))
        meter.start("downloading", done, total)
        for name in (name for name in sizes if name not in here):
            with (grown / name).open("wb") as out:
                for chunk in _chunks(source / name):
                    out.write(chunk)
                    meter.add(len(chunk), name)
                out.flush()
                os.fsync(out.fileno())
        library.install(folder)
    tell(Done())


def _needed_files(source: Path) -> dict[str, int]:
    """Each file's name and size, of a model that is whole. Raises ModelError."""
    try:
        weights = check_files(source)
    except EngineError as error:
        raise ModelError("unfit", error.message, "Choose another folder.", error.details) from error
    names = [*library.SMALL, INDEX, *(os.path.relpath(file, source) for file in weights)]
    if not all(library.plain_name(name) for name in names):
        raise ModelError(
            "unfit", f"The weights of “{source}” lie in several folders.", "Choose another model."
        )
    return {name: (source / name).stat().st_size for name in names if (source / name).is_file()}


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise ModelError(
            "folder",
            f"“{path}” can no longer be read: {error.strerror}.",
            "Check that the disk or stick is still connected, and try again.",
        ) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
