"""The known models and what they need."""

from __future__ import annotations

import errno
import os
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from engine.checkpoints import catalogue, files
from engine.checkpoints.checkpoint import Checkpoint
from engine.model import diffusion_gemma
from engine.protocol.errors import FaultError


def test_the_bundled_model_is_whole_and_called_what_it_is() -> None:
    folder, label = catalogue.resolve_model("starter")
    assert Checkpoint.open(folder).weight_files == (folder / "model.safetensors",)
    assert label == "Starter model"
    assert catalogue.STARTER.installed
    assert not catalogue.GEMMA_26B.installed


def test_a_folder_is_a_model_with_its_own_name(tmp_path: Path) -> None:
    assert catalogue.resolve_model(str(tmp_path)) == (tmp_path, tmp_path.name)


@pytest.mark.parametrize("name", ["", "nix", "/nowhere/at/all"])
def test_an_unknown_model_is_an_error_that_lists_the_known(name: str) -> None:
    with pytest.raises(FaultError) as caught:
        catalogue.resolve_model(name)
    assert caught.value.fault.kind == "input"
    assert "starter" in caught.value.fault.remedy


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(FaultError) as caught:
        Checkpoint.open(tmp_path)
    assert "llama" in caught.value.fault.message


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", files.INDEX])
@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"a": [1,}', b"[]", b'{"a": "\xff"}', b'{"a": ' + b"[" * 10**6], ids=range(6)
)
def test_what_is_no_json_object_is_damaged(file: str, text: bytes, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(catalogue.STARTER.folder, tmp_path / "model"))
    (folder / file).write_bytes(text)
    with pytest.raises(FaultError) as caught:
        Checkpoint.open(folder)
    assert caught.value.fault.kind == "weights-broken"
    assert f"{folder / file} is damaged or cut short" in caught.value.fault.message


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_what_may_not_be_read_is_not_called_damaged(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(catalogue.STARTER.folder, tmp_path / "model"))
    original = Path.is_file

    def is_file(path: Path) -> bool:
        if path.name == file:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    with pytest.raises(FaultError) as caught:
        Checkpoint.open(folder)
    assert caught.value.fault.kind == "weights-missing"
    assert caught.value.fault.message == f"The model cannot be read: {folder / file}: Permission denied."


@pytest.mark.parametrize("model", ["", "nowhere", "~nobody-of-this-name/model"])
def test_what_is_no_model_is_told_with_those_there_are(model: str) -> None:
    with pytest.raises(FaultError, match="There is no model") as caught:
        catalogue.resolve_model(model)
    assert "starter" in caught.value.fault.remedy


def test_a_large_tokenizer_is_not_made_into_objects(tmp_path: Path) -> None:
    """It takes a second, each time that the models are listed."""
    folder = Path(shutil.copytree(catalogue.STARTER.folder, tmp_path / "model"))
    vocabulary = ", ".join(f'"token {number}": {number}' for number in range(200_000))
    text = f'{{"model": {{"vocab": {{{vocabulary}}}}}}}'
    (folder / "tokenizer.json").write_text(text)
    tracemalloc.start()
    try:
        Checkpoint.open(folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(text)


def test_the_download_is_as_large_as_the_whole_checkpoint() -> None:
    """With the vision tower, which is downloaded and never loaded."""
    with torch.device("meta"):
        whole: Any = DiffusionGemmaForBlockDiffusion(
            DiffusionGemmaConfig.from_pretrained(catalogue.GEMMA_26B.describes)
        )
    whole.tie_weights()
    size = 2 * sum(parameter.numel() for parameter in whole.parameters())
    assert catalogue.GEMMA_26B.download_bytes == pytest.approx(size, rel=0.002)


def test_a_packed_copy_has_a_name_that_any_disk_takes(tmp_path: Path) -> None:
    names = {
        files.packed_copy_folder(tmp_path / ("模" * 84 + end), "4-bit", tmp_path).name for end in ("", "b")
    }
    assert len(names) == 2
    assert all(len(name.encode()) < 200 for name in names)


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(FaultError, match="is not UTF-8") as caught:
        catalogue.resolve_model("/models/\udcff")
    assert caught.value.fault.message.encode()


@pytest.mark.parametrize(("drive_is_there", "free"), [(True, 7), (False, 0)])
def test_the_disk_is_looked_at_where_the_model_would_lie(
    monkeypatch: pytest.MonkeyPatch, drive_is_there: bool, free: int
) -> None:
    """Of a drive that is not there, as Windows has them, the system's answer is played."""
    told: list[Path] = []

    def disk_usage(path: Path) -> SimpleNamespace:
        if not (drive_is_there and path.is_dir()):
            raise FileNotFoundError(path)
        told.append(path)
        return SimpleNamespace(free=7)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    assert files.free_bytes(catalogue.GEMMA_26B.folder) == free
    assert all(catalogue.GEMMA_26B.folder.is_relative_to(path) for path in told)


@pytest.mark.parametrize("known", catalogue.KNOWN_MODELS)
def test_each_model_says_what_it_is(known: catalogue.KnownModel) -> None:
    assert known.licence
    assert known.good_at.endswith(".")
    assert known.bundled == (known.download_bytes == 0)


def test_the_vision_tower_is_not_loaded(starter: diffusion_gemma.DiffusionGemma) -> None:
    assert not any("vision" in name for name in starter.text_model.state_dict())
    assert starter.device == torch.device("cpu")
