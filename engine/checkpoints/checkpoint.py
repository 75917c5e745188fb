"""Checkpoint: a model folder, opened once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from safetensors import SafetensorError, safe_open

from engine.checkpoints.files import INDEX, SINGLE, damaged, existing, read_file, unreadable
from engine.checkpoints.model_shape import ModelShape, parse_shape
from engine.protocol.errors import weights_broken

V = TypeVar("V")


class _Index(msgspec.Struct):
    weight_map: Annotated[dict[str, str], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds a whole model, as it was when it was opened."""

    folder: Path
    config_json: bytes = field(repr=False)
    tokenizer_json: bytes = field(repr=False)
    """Of many megabytes: known to be JSON, and made into objects only by tokenizer()."""
    weight_files: tuple[Path, ...]
    """Each as long as its safetensors header tells, with the tensors that the index tells."""
    shape: ModelShape

    @classmethod
    def open(cls, folder: Path) -> Checkpoint:
        """Raises weights-missing or weights-broken. Of the weights only the headers are read."""
        path = folder / "config.json"
        config_json = read_file(path)
        model_type = _decode(path, config_json, dict[str, object]).get("model_type", "no model type")
        if model_type != "diffusion_gemma":
            message = f"{path} describes another kind of model ({model_type})."
            raise weights_broken(message, remedy="Choose a folder with a DiffusionGemma model.")
        tokenizer_json = read_file(folder / "tokenizer.json")
        _decode(folder / "tokenizer.json", tokenizer_json, dict[str, msgspec.Raw])
        weight_files = tuple(_checked_weights(folder))
        return cls(folder, config_json, tokenizer_json, weight_files, parse_shape(config_json, path))

    def tokenizer(self) -> dict[str, Any]:
        return msgspec.json.decode(self.tokenizer_json, type=dict[str, Any])


def _checked_weights(folder: Path) -> Iterator[Path]:
    for path, names in _tensors(folder).items():
        try:
            with safe_open(existing(path), framework="np") as file:
                lacking = names.difference(file.keys())
        except SafetensorError as error:
            raise damaged(path, str(error)) from error
        except OSError as error:
            raise unreadable(path, error) from error
        if lacking:
            raise damaged(path, f"lacks {', '.join(sorted(lacking))}")
        yield path


def _tensors(folder: Path) -> dict[Path, set[str]]:
    """The weight files with what the index says that each holds."""
    path = folder / INDEX
    if not os.path.isfile(path):
        return {folder / SINGLE: set()}
    files = _decode(path, read_file(path), _Index).weight_map
    return {
        folder / file: {tensor for tensor, place in files.items() if place == file}
        for file in sorted(set(files.values()))
    }


def _decode(path: Path, data: bytes, kind: type[V]) -> V:
    try:
        return msgspec.json.decode(data.decode(), type=kind)
    except (ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error
