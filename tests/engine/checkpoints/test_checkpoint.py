"""A model folder is read once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoints import catalogue
from engine.checkpoints.checkpoint import Checkpoint
from engine.protocol.errors import FaultError
from engine.protocol.events import Ready
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import load


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often Mezzotint reads each file whole; the library opens files in its own way."""
    counted: Counter[str] = Counter()
    read_bytes = Path.read_bytes

    def counting(path: Path) -> bytes:
        counted[path.name] += 1
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    return counted


@pytest.mark.parametrize("precision", ["fp32", "4-bit"])
def test_a_load_reads_configuration_and_tokenizer_once(
    precision: str, reads: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "packed_models_folder", lambda: tmp_path / "packed")
    monkeypatch.setattr("engine.quantization.packed_copy.save_packed_copy", lambda *_: 0)
    assert isinstance(load(LocalEngine(), precision=precision)[-1], Ready)
    assert (reads["config.json"], reads["tokenizer.json"]) == (1, 1)


def test_a_checkpoint_knows_its_tokenizer_and_shows_none_of_its_megabytes() -> None:
    checkpoint = Checkpoint.open(catalogue.STARTER.folder)
    assert checkpoint.tokenizer()["model"]["type"] == "BPE"
    assert len(repr(checkpoint)) < 20_000


@pytest.mark.parametrize(
    "index", ["{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', '{"weight_map": []}']
)
def test_an_index_without_files_is_damaged(index: str, tmp_path: Path) -> None:
    for path in catalogue.STARTER.folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(FaultError) as caught:
        Checkpoint.open(tmp_path)
    assert caught.value.fault.kind == "weights-broken"


def test_a_weight_file_that_cannot_be_looked_at_is_not_called_damaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_file = Path.is_file

    def failing(path: Path, *args: Any) -> bool:
        if path.suffix == ".safetensors":
            raise OSError(5, "Input/output error")
        return is_file(path, *args)

    monkeypatch.setattr(Path, "is_file", failing)
    with pytest.raises(FaultError) as caught:
        Checkpoint.open(catalogue.STARTER.folder)
    assert caught.value.fault.kind == "weights-missing"
