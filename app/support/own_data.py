"""What Mezzotint keeps on this computer: its parts, their sizes, their removal. Never a document."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from app.documents.disk_size import size_on_disk
from app.documents.files import held_lock
from app.drafting.presets import presets_folder
from app.history.schema import history_folder
from app.models.transfer.file_names import LOCK, PARTIAL, RECORD, TRASH
from app.provenance.store import records_folder
from app.settings.store import default_path
from app.support.log_file import log_folder
from engine.checkpoints.catalogue import KNOWN_MODELS, models_folder, packed_models_folder
from engine.checkpoints.precision import PACKED_PRECISIONS
from engine.protocol.errors import reason_of

_SERVER = re.compile("[0-9a-f]{16}")
"""What a window listens on for later starts."""


@dataclass(frozen=True, kw_only=True)
class DataPart:
    """What is removed together."""

    label: str
    paths: tuple[Path, ...]
    """Files and folders."""
    is_writers: bool = False
    """The writer's own work: it goes only where that is asked for on its own."""


def data_parts(added: Iterable[str]) -> list[DataPart]:
    """added: the writer's own folders with models, which stay wherever they lie."""
    data, state = _data(), _state()
    settings = default_path()
    recovery = _inside(state / "recovery")
    passing = [path for path in recovery if path.suffix == ".lock"]
    passing += [path for path in _inside(state) if _SERVER.fullmatch(path.name)]
    unreadable = [path for path in _inside(settings.parent) if path.name.startswith(f"{settings.name}.")]
    return [
        DataPart(label="Models that were downloaded or imported", paths=_models(added)),
        DataPart(label="The engine’s own Python", paths=(data / "engine",)),
        DataPart(label="Packed copies of models", paths=_packed()),
        DataPart(
            label="Caches and logs",
            paths=(platformdirs.user_cache_path("mezzotint"), log_folder(), state / "locks", *passing),
        ),
        DataPart(label="Records of which words were drafted", paths=(records_folder(),)),
        DataPart(label="Settings", paths=(settings, *unreadable, state / "recent.json")),
        DataPart(
            label="Texts that were not saved",
            paths=tuple(path for path in recovery if _inside(path)),
            is_writers=True,
        ),
        DataPart(label="The history of your drafts", paths=(history_folder(),), is_writers=True),
        DataPart(label="Your instructions (presets)", paths=(presets_folder(),), is_writers=True),
    ]


def size_bytes(part: DataPart) -> int:
    return size_on_disk(part.paths)


def is_there(part: DataPart) -> bool:
    return any(os.path.lexists(path) for path in part.paths)


def busy(but: Path | None = None) -> str:
    """Why nothing can be removed now, in a sentence; empty if it can. but: this window's own lock."""
    if any(_is_held(lock) for lock in (_state() / "recovery").glob("*.lock") if lock != but):
        return f"{'Another' if but else 'A'} window of Mezzotint is open. Close it first."
    if any(_is_held(lock) for root in (models_folder(), _data() / "engine") for lock in root.glob("*.lock")):
        return "Something is being downloaded. Wait until it is here, or pause it."
    return ""


def remove(parts: Iterable[DataPart]) -> list[str]:
    """Also the folders that are empty then → what could not be removed, each in a sentence."""
    problems: list[str] = []

    def on_error(_: object, path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
        if isinstance(error[1], Exception) and not isinstance(error[1], FileNotFoundError):
            problems.append(f"“{path}” could not be removed: {reason_of(error[1])[0]}.")

    for part in parts:
        for path in part.paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, onerror=on_error)
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                on_error(None, str(path), (type(error), error, None))
    _remove_empty_folders()
    return problems


def _remove_empty_folders() -> None:
    folders = {
        *(models_folder(), packed_models_folder(), _data(), _state(), _state() / "recovery"),
        *_inside(_state() / "recovery"),
        *(default_path().parent, platformdirs.user_cache_path("mezzotint"), log_folder()),
    }
    folders |= {folder.parent for folder in folders if folder.parent.name == "mezzotint"}
    for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
        try:
            if folder.is_symlink() and not any(folder.iterdir()):  # led to another disk by hand
                folder.unlink()
            else:
                folder.rmdir()
        except OSError:  # it is not there, or holds what is not ours
            continue


def _models(added: Iterable[str]) -> tuple[Path, ...]:
    """Without the folders that the writer added himself, though they lie here, and what is no model: the
    folder may be a link to a disk with other things.
    """
    own = [Path(os.path.realpath(folder)) for folder in added]
    inside = filter(_is_model, _inside(models_folder()))
    return tuple(
        path
        for path in inside
        if path.is_symlink() or not any(folder.is_relative_to(os.path.realpath(path)) for folder in own)
    )


def _is_model(path: Path) -> bool:
    """Or becomes one, or was one, or is the lock of one."""
    passing = path.name.startswith(TRASH) or path.name.endswith((PARTIAL, LOCK))
    known = any(path.name == model.name for model in KNOWN_MODELS)
    return passing or known or any((path / name).is_file() for name in (RECORD, "config.json"))


def _packed() -> tuple[Path, ...]:
    """A copy's name tells its precision, also while it is written."""
    return tuple(
        path
        for path in _inside(packed_models_folder())
        if path.name.startswith(TRASH) or any(f"-{one}" in path.name for one in PACKED_PRECISIONS)
    )


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_held(lock: Path) -> bool:
    try:
        return held_lock(lock) is None
    except OSError:
        return False


def _data() -> Path:
    return platformdirs.user_data_path("mezzotint")


def _state() -> Path:
    return platformdirs.user_state_path("mezzotint", appauthor=False)
