"""The known models: where their files lie, and whether those are whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import msgspec
import platformdirs
from safetensors import SafetensorError, safe_open

from engine.errors import EngineError
from engine.plans import Precision

V = TypeVar("V")

BUNDLED = Path(__file__).parent.parent / "resources" / "models"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


@dataclass(frozen=True)
class KnownModel:
    """describes: a folder that holds at least the configuration; source: where the weights come from;
    precisions: those worth choosing from, the largest first; download_bytes: about; 0 if bundled.
    """

    name: str
    label: str
    source: str
    licence: str
    good_at: str
    describes: Path
    precisions: tuple[Precision, ...]
    download_bytes: int
    bundled: bool

    @property
    def folder(self) -> Path:
        return self.describes if self.bundled else models_folder() / self.name

    @property
    def installed(self) -> bool:
        try:
            check_files(self.folder)
        except EngineError:
            return False
        return True


STARTER = KnownModel(
    name="starter",
    label="Starter model (stand-in)",
    source="bundled",
    licence="Apache-2.0",
    good_at="Shows on any computer how drafting works; its everyday English is often clumsy.",
    describes=BUNDLED / "starter",
    precisions=("fp32", "bf16"),
    download_bytes=0,
    bundled=True,
)
GEMMA_26B = KnownModel(
    name="diffusiongemma-26b",
    label="DiffusionGemma 26B",
    source="google/diffusiongemma-26B-A4B-it",
    licence="Apache-2.0",
    good_at="Writes paragraphs that follow your text and your instruction; check every fact it states.",
    describes=BUNDLED / "diffusiongemma-26b",
    precisions=("bf16", "fp8", "4-bit", "4-bit-tight"),
    download_bytes=51_700_000_000,
    bundled=False,
)
KNOWN = (STARTER, GEMMA_26B)


def models_folder() -> Path:
    """Where models are that were downloaded or imported."""
    return platformdirs.user_data_path("mezzotint") / "models"


def free_bytes(folder: Path) -> int:
    """Free on the disk where the folder is, or would be."""
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return shutil.disk_usage(existing).free


def packed_models() -> Path:
    """Where packed copies of models are kept."""
    return platformdirs.user_data_path("mezzotint") / "packed"


def packed_copy(folder: Path, precision: str, root: Path) -> Path:
    """Of the model in that folder, and of no other of the same name."""
    place = folder.resolve()
    key = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    name = os.fsencode(place.name)[:100].decode(errors="ignore")  # the copy's, being written, is longer still
    return root / f"{name}-{key}-{precision}"


def find(model: str) -> tuple[Path, str]:
    """The folder and the label of a catalogue name or a folder; its files are not looked at yet.

    Raises input.
    """
    for known in KNOWN:
        if known.name == model:
            return known.folder, known.label
    if model != (shown := model.encode(errors="replace").decode()):
        raise EngineError("input", f"The name “{shown}” is not UTF-8.", "Rename the folder.")
    folder = Path(os.path.expanduser(model))  # noqa: PTH111 - Path's raises for a user who is not there
    if model and os.path.isdir(folder):
        return folder, folder.resolve().name
    names = ", ".join(known.name for known in KNOWN)
    raise EngineError("input", f"There is no model “{model}”.", f"Give a folder, or one of: {names}.")


def packed_precision(folder: Path) -> Precision | None:
    """Of a folder that holds a packed copy."""
    try:
        packed = _read_json(folder / "config.json", object).get("quantization_config")
    except EngineError:
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
        raise EngineError(
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
            raise _broken(path, str(error)) from error
        except OSError as error:
            raise out_of_reach(path, error) from error
        if lacking:
            raise _broken(path, f"lacks {', '.join(sorted(lacking))}")
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
        raise _broken(folder / INDEX, "no weight_map")
    return {
        folder / file: {tensor for tensor, place in shards.items() if place == file}
        for file in sorted(set(shards.values()))
    }


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise EngineError(
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
        raise _broken(path, str(error)) from error
    except OSError as error:
        raise out_of_reach(path, error) from error


def out_of_reach(path: Path, error: Exception) -> EngineError:
    """Not damaged: somebody else's, on a disk that is gone or fails, or more files are open than may be."""
    return EngineError(
        "weights-missing",
        f"The model cannot be read: {path}: {getattr(error, 'strerror', None) or error}.",
        "Look whether its disk is there and Mezzotint may read that folder, or choose another one.",
    )


def _broken(path: Path, details: str) -> EngineError:
    return EngineError(
        "weights-broken",
        f"The model cannot be read: {path} is damaged or cut short.",
        "Download the model again, or choose another folder.",
        details,
    )
