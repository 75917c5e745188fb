"""Check a model folder's files, and find its packed copies."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TypeVar, get_args

import msgspec
from safetensors import SafetensorError, safe_open

from engine.checkpoints.precision import Precision
from engine.protocol.errors import FaultError

V = TypeVar("V")
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def free_bytes(folder: Path) -> int:
    """Free on the disk where the folder is, or would be."""
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return shutil.disk_usage(existing).free


def packed_copy_folder(folder: Path, precision: str, root: Path) -> Path:
    """Of the model in that folder, and of no other of the same name."""
    place = folder.resolve()
    key = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    name = os.fsencode(place.name)[:100].decode(errors="ignore")  # the copy's, being written, is longer still
    return root / f"{name}-{key}-{precision}"


def packed_precision(folder: Path) -> Precision | None:
    """Of a folder that holds a packed copy."""
    try:
        packed = _read_json(folder / "config.json", object).get("quantization_config")
    except FaultError:
        return None
    found = packed.get("precision") if isinstance(packed, dict) else None
    return next((precision for precision in get_args(Precision) if precision == found), None)


def check_files(folder: Path) -> list[Path]:
    """The weight files of a folder that holds a whole model. Raises weights-missing or weights-broken.

    Reads the headers only; a safetensors header tells how long the file must be.
    """
    config = _read_json(folder / "config.json", object)
    if config.get("model_type") != "diffusion_gemma":
        found = config.get("model_type", "no model type")
        raise FaultError(
            "weights-broken",
            f"{folder / 'config.json'} describes another kind of model ({found}).",
            "Choose a folder with a DiffusionGemma model.",
        )
    _read_json(folder / "tokenizer.json", msgspec.Raw)  # of many megabytes
    tensors = _tensors(folder)
    for path, names in tensors.items():
        _existing(path)
        try:
            with safe_open(path, framework="np") as file:
                lacking = names.difference(file.keys())
        except SafetensorError as error:
            raise damaged(path, str(error)) from error
        except OSError as error:
            raise unreadable(path, error) from error
        if lacking:
            raise damaged(path, f"lacks {', '.join(sorted(lacking))}")
    return list(tensors)


def _tensors(folder: Path) -> dict[Path, set[str]]:
    """The weight files with what the index says that each holds."""
    if not os.path.isfile(folder / INDEX):
        return {folder / SINGLE: set()}
    shards = _read_json(folder / INDEX, object).get("weight_map")
    if (
        not isinstance(shards, dict)
        or not shards
        or not all(isinstance(name, str) for name in shards.values())
    ):
        raise damaged(folder / INDEX, "no weight_map")
    return {
        folder / file: {tensor for tensor, place in shards.items() if place == file}
        for file in sorted(set(shards.values()))
    }


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FaultError(
            "weights-missing",
            f"The model is not complete: {path} is missing.",
            "Download the model again, or choose another folder.",
        )
    return path


def _read_json(path: Path, kind: type[V]) -> dict[str, V]:
    """kind: of its values; what is within a Raw one is not made."""
    try:
        return msgspec.json.decode(_existing(path).read_bytes().decode(), type=dict[str, kind])  # type: ignore[valid-type]
    except (ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> FaultError:
    """Not damaged: somebody else's, on a disk that is gone or fails, or more files are open than may be."""
    return FaultError(
        "weights-missing",
        f"The model cannot be read: {path}: {getattr(error, 'strerror', None) or error}.",
        "Look whether its disk is there and Mezzotint may read that folder, or choose another one.",
    )


def damaged(path: Path, details: str) -> FaultError:
    return FaultError(
        "weights-broken",
        f"The model cannot be read: {path} is damaged or cut short.",
        "Download the model again, or choose another folder.",
        details,
    )
