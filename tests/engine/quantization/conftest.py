"""Packed models, and a source and a cache for their copies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from engine.checkpoints import catalogue
from tests.engine.quantization.packed import (
    load_packed,
)

STARTER = catalogue.STARTER.folder


@pytest.fixture(scope="module")
def packed() -> Any:
    return load_packed(STARTER, "4-bit")


def expert_tensors(model: Any) -> list[Tensor]:
    layers = model.model.decoder.layers
    return [tensor for layer in layers for tensor in layer.experts.parameters()]


@pytest.fixture(params=["processor", "device"])
def place(request: pytest.FixtureRequest) -> str:
    if request.param == "device":
        request.getfixturevalue("as_on_a_gpu")
    return str(request.param)


@pytest.fixture
def source(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "source"))
