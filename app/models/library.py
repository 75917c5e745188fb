"""The models on this machine: those of the catalogue, those in the models folder, those the writer added."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import get_args

import msgspec
import platformdirs

from app.models.messages import ModelError
from engine.catalogue import KNOWN, check_files, packed_copy, packed_models
from engine.errors import EngineError
from engine.plans import Precision

log = logging.getLogger(__name__)

_Files = tuple[tuple[str, int, int], ...]
RECORD = "download.json"
PARTIAL, TRASH, LOCK = ".partial", ".trash-", ".lock"
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE)
"""What Windows takes for no file."""
LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md")
# What a model needs beside its weights and their index.
SMALL = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    *LICENCES,
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Lies in a model's folder, from its first byte on: where the files come from. look: the writer has not
    said yet whether to download it. hashes: of the files, as far as they are told; a model is not put in its
    place before they have been compared.
    """

    repo: str = ""
    revision: str = ""
    source: str = ""
    licence: str = ""
    total_bytes: int = 0
    look: bool = False
    hashes: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """model: what a load takes; problem: why it cannot be loaded, empty if it can; repo: where it comes from;
    removable: the folder is Mezzotint's own; checked: the hash of every file was compared when it came.
    """

    model: str
    label: str
    folder: Path
    size_bytes: int
    licence: str
    licence_file: Path | None
    repo: str
    removable: bool
    problem: str
    checked: bool


def models_folder() -> Path:
    return platformdirs.user_data_path("mezzotint") / "models"


def local_models(added: Iterable[Path] = ()) -> list[LocalModel]:
    """added: folders elsewhere. A folder that is incomplete is listed with its problem."""
    root = models_folder()
    known = [known.folder for known in KNOWN if known.bundled or known.folder.is_dir()]
    others = sorted(folder for folder in _folders(root) if (folder / "config.json").is_file())
    return [_local_model(folder) for folder in dict.fromkeys((*known, *others, *added))]


def read_record(folder: Path) -> Record | None:
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None


def write_record(folder: Path, record: Record) -> None:
    if read_record(folder) != record:
        (folder / RECORD).write_bytes(msgspec.json.encode(record))


def licence_in(folder: Path) -> Path | None:
    return next((folder / name for name in LICENCES if (folder / name).is_file()), None)


def is_whole(folder: Path) -> bool:
    return not _problem(folder, _files_in(folder))


def partial(folder: Path) -> Path:
    """Where a model grows until it is whole."""
    return folder.with_name(folder.name + PARTIAL)


def install(folder: Path) -> None:
    """Put the whole model that grew beside `folder` in its place. Raises ModelError if it is not whole."""
    grown = partial(folder)
    try:
        check_files(grown)
    except EngineError as error:
        raise ModelError("unfit", error.message, "Choose another model.", error.details) from error
    if os.path.lexists(folder):
        discard(folder).join()
    grown.rename(folder)


def unfinished(root: Path) -> list[Path]:
    """The folders, not yet there, of models whose download or import was interrupted."""
    found = (folder for folder in _folders(root, hidden=True) if folder.name.endswith(PARTIAL))
    return sorted(folder.with_suffix("") for folder in found)


def sweep(root: Path) -> list[threading.Thread]:
    """Delete what removals that were cut short have left."""
    return [_delete(folder) for folder in _folders(root, hidden=True) if folder.name.startswith(TRASH)]


def remove(model: LocalModel) -> None:
    """Raises ModelError for a model that is not Mezzotint's own, or whose folder cannot be moved."""
    if model.folder.parent != models_folder():
        raise ModelError("input", f"“{model.label}” does not lie in Mezzotint's own folder.")
    packed = packed_copies(model.folder)  # a link leads elsewhere once it is gone
    discard(model.folder)
    for copy in packed:
        discard(copy)


def packed_copies(folder: Path) -> list[Path]:
    """Made for the model in that folder when it was first loaded in 4 or 8 bits; they can be made again."""
    found = (packed_copy(folder, precision, packed_models()) for precision in get_args(Precision))
    return [copy for copy in found if copy.is_dir()]


def discard(folder: Path) -> threading.Thread:
    """Gone at once; the space comes back when the thread has ended. Raises ModelError."""
    trash = folder.with_name(TRASH + secrets.token_hex(8))
    try:
        folder.rename(trash)
    except OSError as error:
        raise ModelError(
            "folder",
            f"“{folder}” cannot be removed: {error.strerror}.",
            "Close other programs that use it, and try again.",
        ) from error
    return _delete(trash)


def plain_name(name: str) -> bool:
    """Whether a name from elsewhere is that of a file or folder right here, and not one of ours."""
    return (
        bool(name)
        and name == Path(name).name
        and not name.startswith(".")
        and not name.casefold().endswith((PARTIAL, LOCK, ".", " "))
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
        and not set(name) & set('<>:"/\\|?*')
        and not _DEVICE.fullmatch(name)
    )


def check_text(path: Path) -> None:
    """Raises ModelError for a path that is no text: it could be neither kept nor told to another process."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = str(path).encode(errors="replace").decode()
        raise ModelError(
            "input",
            f"The name of “{shown}” has characters that cannot be read.",
            "Rename the folder, or the one it lies in.",
        ) from error


def _delete(trash: Path) -> threading.Thread:
    def work() -> None:
        if trash.is_symlink():  # a folder that was moved to another disk by hand
            trash.unlink()
        else:
            shutil.rmtree(trash, ignore_errors=True)

    thread = threading.Thread(target=work, name="delete model", daemon=True)
    thread.start()
    return thread


def _folders(root: Path, *, hidden: bool = False) -> list[Path]:
    """Without those that are unfinished or on their way out, unless hidden."""
    try:
        folders = [folder for folder in root.iterdir() if folder.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("The models folder cannot be read: %s", error)
        return []
    return [folder for folder in folders if hidden or plain_name(folder.name)]


def _local_model(folder: Path) -> LocalModel:
    known = next((known for known in KNOWN if known.folder == folder), None)
    record = read_record(folder) or Record()
    files = _files_in(folder)
    return LocalModel(
        model=known.name if known else str(folder),
        label=known.label if known else record.repo or folder.name,
        folder=folder,
        size_bytes=sum(size for _, size, _ in files),
        licence=record.licence or (known.licence if known else ""),
        licence_file=licence_in(folder),
        repo=record.repo,
        removable=folder.parent == models_folder(),
        problem=_problem(folder, files),
        checked=bool(files) and {Path(name).name for name, _, _ in files} <= {RECORD, *record.hashes},
    )


def _problem(folder: Path, files: _Files) -> str:
    if not folder.is_dir():
        return f"The folder “{folder}” is gone. If it lies on a stick or another disk, connect that."
    return _checked(folder, files)


@lru_cache
def _checked(folder: Path, _files: _Files) -> str:
    """A large tokenizer takes its time to read; the answer holds until the files change."""
    try:
        check_files(folder)
    except EngineError as error:
        return error.message
    return ""


def _files_in(folder: Path) -> _Files:
    """The name, size and time of the last change of each."""
    try:
        found = [(str(file), file.stat()) for file in folder.rglob("*") if file.is_file()]
    except OSError:
        return ()
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))
