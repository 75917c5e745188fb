"""The models on this machine: of the catalogue, in the models folder, in the writer's own folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import get_args

from app.models.transfer.file_names import LICENCES, RECORD
from app.models.transfer.installation import InstallRecord, folders, move_to_trash, read_record
from engine.checkpoints.catalogue import KNOWN_MODELS, models_folder, packed_models_folder
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.files import packed_copy_folder
from engine.checkpoints.model_shape import ModelShape, read_shape
from engine.checkpoints.precision import Precision
from engine.protocol.errors import FaultError, reason_of

_Files = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Answer:
    """What a look at a folder's files has found."""

    files: _Files
    elsewhere: tuple[Path, ...]
    """Weights that lie deeper, or beside the folder."""
    problem: str


_answers: dict[Path, _Answer] = {}


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """A model's folder on this machine."""

    model: str
    """What a load takes."""
    label: str
    folder: Path
    problem: str
    """Why it cannot be loaded; empty if it can."""
    size_bytes: int = 0
    """On the disk, with its packed copies."""
    licence: str = ""
    licence_file: Path | None = None
    repo: str = ""
    """Where it comes from."""
    removable: bool = False
    """The folder is Mezzotint's own."""
    checked: bool = False
    """The hash of every file was compared when it came."""
    shape: ModelShape | None = None
    """None while nobody knows."""
    packed: Precision | None = None
    """Of a packed copy."""


def local_models(added: Iterable[Path] = ()) -> list[LocalModel]:
    """added: folders elsewhere. A folder that is incomplete is listed with its problem."""
    root = models_folder()
    known = [known.folder for known in KNOWN_MODELS if known.bundled or os.path.isdir(known.folder)]
    others = sorted(folder for folder in folders(root) if os.path.isfile(folder / "config.json"))
    return [local_model(folder) for folder in dict.fromkeys((*known, *others, *added))]


def licence_in(folder: Path) -> Path | None:
    return next((folder / name for name in LICENCES if os.path.isfile(folder / name)), None)


def is_whole(folder: Path) -> bool:
    try:
        return not _problem(folder)
    except OSError:
        return False


def remove(model: LocalModel) -> None:
    """Raises FaultError for a model that is not Mezzotint's own, or whose folder cannot be moved."""
    if model.folder.parent != models_folder():
        raise FaultError("input", f"“{model.label}” does not lie in Mezzotint’s own folder.")
    packed = packed_copies(model.folder)  # a link leads elsewhere once it is gone
    move_to_trash(model.folder)
    for copy in packed:
        move_to_trash(copy)


def packed_copies(folder: Path) -> list[Path]:
    """Made for the model in that folder when it was first loaded in 4 or 8 bits; they can be made again."""
    found = (
        packed_copy_folder(folder, precision, packed_models_folder()) for precision in get_args(Precision)
    )
    return [copy for copy in found if os.path.isdir(copy)]


def local_model(folder: Path) -> LocalModel:
    """The model in that folder, or what is wrong there."""
    try:
        return _read_model(folder)
    except OSError as error:  # one that nobody may look into, say, or on a server that is gone
        problem = f"The folder “{folder}” cannot be read: {reason_of(error)[0]}."
        return LocalModel(model=str(folder), label=folder.name, folder=folder, problem=problem)


def _read_model(folder: Path) -> LocalModel:
    known = next((known for known in KNOWN_MODELS if known.folder == folder), None)
    record = read_record(folder) or InstallRecord()
    problem = _problem(folder)
    files, shape = _files_in(folder), _shape(folder)
    real_path(str(folder))
    return LocalModel(
        model=known.name if known else str(folder),
        label=known.label if known else record.repo or folder.name,
        folder=folder,
        size_bytes=sum(size for place in (folder, *packed_copies(folder)) for _, size, _ in _files_in(place)),
        licence=record.licence or (known.licence if known else ""),
        licence_file=licence_in(folder),
        repo=record.repo,
        removable=folder.parent == models_folder(),
        problem=problem,
        checked=bool(files) and {Path(name).name for name, _, _ in files} <= {RECORD, *record.hashes},
        shape=shape,
        packed=shape.packed if shape else None,
    )


def _shape(folder: Path) -> ModelShape | None:
    try:
        return read_shape(folder)
    except FaultError:
        return None


def _problem(folder: Path) -> str:
    """A large tokenizer takes its time to read; the answer holds until the files change. Raises OSError."""
    if not folder.is_dir():
        return f"The folder “{folder}” is gone. If it lies on a stick or another disk, connect that."
    files = _files_in(folder)
    if folder in _answers and _answers[folder].files == files:
        return _answers[folder].problem
    try:
        weights, problem = Checkpoint.open(folder).weight_files, ""
    except FaultError as error:
        weights, problem = (), error.fault.message
    elsewhere = tuple(path for path in weights if path.parent != folder)
    _answers[folder] = _Answer(files, elsewhere, problem)  # holds from when files elsewhere are counted too
    return problem


def _files_in(folder: Path) -> _Files:
    """The name, size and time of the last change of each, and of weights that lie elsewhere."""
    elsewhere = _answers[folder].elsewhere if folder in _answers else ()
    try:
        found = [(str(file), file.stat()) for file in (*folder.iterdir(), *elsewhere) if file.is_file()]
    except OSError:
        return ()
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))


def real_path(path: str) -> str:
    """Read once from the disk: what a look has named the window can name without waiting."""
    return _real_path(os.path.expanduser(path))  # noqa: PTH111 - Path's raises for a user who is not there


@lru_cache
def _real_path(path: str) -> str:
    return os.path.realpath(path)
