"""Install and remove model folders."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
from pathlib import Path

import msgspec

from app.models.transfer.file_names import PARTIAL, RECORD, TRASH, plain_name
from engine.checkpoints.checkpoint import Checkpoint
from engine.protocol.errors import FaultError
from engine.protocol.file_format import NewerFormatError, check_format

RECORD_FORMAT = 1
"""Raise it whenever a field's name or meaning changes."""
log = logging.getLogger(__name__)


class InstallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where the files of a model come from. Lies in its folder from the first byte on."""

    repo: str = ""
    revision: str = ""
    source: str = ""
    licence: str = ""
    total_bytes: int = 0
    probe: bool = False
    """The writer has not said yet whether to download it."""
    hashes: dict[str, str] = {}
    """As far as they are told. The model is not put in its place before they have been compared."""
    format: int = RECORD_FORMAT


def read_record(folder: Path) -> InstallRecord | None:
    """None too for what a newer version has written."""
    try:
        data = (folder / RECORD).read_bytes()
        check_format(data, RECORD_FORMAT)
        return msgspec.json.decode(data, type=InstallRecord)
    except (OSError, msgspec.DecodeError, NewerFormatError):
        return None


def is_newer(folder: Path) -> bool:
    """Whether a newer version has begun that folder: it is left as it is."""
    try:
        check_format((folder / RECORD).read_bytes(), RECORD_FORMAT)
    except OSError:
        return False
    except NewerFormatError:
        return True
    return False


def write_record(folder: Path, record: InstallRecord) -> None:
    if read_record(folder) != record:
        (folder / RECORD).write_bytes(msgspec.json.encode(record))


def partial(folder: Path) -> Path:
    """Where a model grows until it is whole."""
    return folder.with_name(folder.name + PARTIAL)


def install(folder: Path) -> None:
    """Put the whole model that grew beside `folder` in its place. Raises FaultError if it is not whole."""
    grown = partial(folder)
    try:
        Checkpoint.open(grown)
    except FaultError as error:
        raise FaultError(
            "unfit", error.fault.message, "Choose another model.", error.fault.details
        ) from error
    if os.path.lexists(folder):
        move_to_trash(folder).join()
    grown.rename(folder)


def unfinished(root: Path) -> list[Path]:
    """The folders, not yet there, of models whose download or import was interrupted."""
    found = (folder for folder in folders(root, hidden=True) if folder.name.endswith(PARTIAL))
    return sorted(folder.with_suffix("") for folder in found)


def purge_trash(root: Path) -> list[threading.Thread]:
    """Delete what removals that were cut short have left."""
    return [_delete(folder) for folder in folders(root, hidden=True) if folder.name.startswith(TRASH)]


def move_to_trash(folder: Path) -> threading.Thread:
    """Gone at once; the space comes back when the thread has ended. Raises FaultError."""
    trash = folder.with_name(TRASH + secrets.token_hex(8))
    try:
        folder.rename(trash)
    except FileNotFoundError:
        pass  # somebody else has removed it
    except OSError as error:
        raise FaultError(
            "folder",
            f"“{folder}” cannot be removed: {error.strerror}.",
            "Close other programs that use it, allow Mezzotint to write there, and try again.",
        ) from error
    return _delete(trash)


def _delete(trash: Path) -> threading.Thread:
    def work() -> None:
        if trash.is_symlink():  # a folder that was moved to another disk by hand
            trash.unlink()
        else:
            shutil.rmtree(trash, ignore_errors=True)

    thread = threading.Thread(target=work, name="delete model", daemon=True)
    thread.start()
    return thread


def folders(root: Path, *, hidden: bool = False) -> list[Path]:
    """Without those that are unfinished or on their way out, unless hidden."""
    try:
        folders = [folder for folder in root.iterdir() if os.path.isdir(folder)]
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("The models folder cannot be read: %s", error)
        return []
    return [folder for folder in folders if hidden or plain_name(folder.name)]
