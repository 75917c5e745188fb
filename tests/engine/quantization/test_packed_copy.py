"""The saved copy of a packed model."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.checkpoints import files
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.precision import PACKED_PRECISIONS, Precision
from engine.model.loading import TextModel
from engine.protocol.errors import FaultError
from engine.quantization import packed_copy
from engine.quantization.packed_experts import PackedExperts
from engine.text.tokenizer import Tokenizer
from tests.engine.quantization.packed import (
    load,
    load_packed,
    load_source,
)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def packs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each layer's experts that are packed."""
    done: list[str] = []
    original_pack = PackedExperts.pack

    def counted(self: PackedExperts, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        done.append("experts")
        return original_pack(self, *args, **kwargs)

    monkeypatch.setattr(PackedExperts, "pack", counted)
    return done


def same(one: Any, other: Any) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("precision", PACKED_PRECISIONS)
def test_the_second_load_packs_nothing_and_needs_no_original(
    source: Path, cache: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = packs(monkeypatch)
    first = load_packed(source, precision, cache)
    assert len(done) == 2
    assert same(load_packed(source, precision, cache), first)
    assert len(done) == 2
    (copy,) = cache.iterdir()
    names = {path.name for path in source.iterdir()}
    shutil.rmtree(source)
    assert names <= {path.name for path in copy.iterdir()}
    assert Checkpoint.open(copy).shape.packed == precision
    assert same(load_packed(copy, precision), first)
    assert len(done) == 2
    Tokenizer(copy)
    with pytest.raises(FaultError, match=precision) as caught:
        load_source(copy, "bf16")
    assert caught.value.fault.kind == "input"


@pytest.mark.parametrize("at", ["load", "save"])
def test_what_a_save_that_was_cut_short_has_left_is_deleted_later(source: Path, cache: Path, at: str) -> None:
    model = load_packed(source, "4-bit") if at == "save" else None
    old, new = cache / "old-4-bit.part", cache / "new-4-bit.part"
    for left in (old, new):
        left.mkdir(parents=True)
        (left / "model-00001.safetensors").write_bytes(b"half")
        os.utime(left, (0, 0))
    os.utime(old / "model-00001.safetensors", (0, 0))
    (cache / "kept-4-bit").mkdir()
    os.utime(cache / "kept-4-bit", (0, 0))
    saved = [files.packed_copy_folder(source, "4-bit", cache).name] if model else []
    if model:
        packed_copy.save_packed_copy(model, source, cache)
    else:
        load_source(source, "bf16", cache)
    assert sorted(path.name for path in cache.iterdir()) == ["kept-4-bit", "new-4-bit.part", *saved]


def retrain(source: Path, _copy: Path) -> None:
    tensors = load_file(source / "model.safetensors")
    for name, tensor in tensors.items():
        if name.endswith("experts.down_proj"):
            tensor.mul_(2)
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})


def retrain_between_samples(source: Path, _copy: Path) -> None:
    """In place: name, size and header stay."""
    path = source / "model.safetensors"
    data = bytearray(path.read_bytes())
    before, after = (
        (len(data) - packed_copy.SAMPLE_BYTES) * sample // (packed_copy.SAMPLES - 1) for sample in (40, 41)
    )
    at = before + packed_copy.SAMPLE_BYTES
    assert at + 2 <= after
    data[at : at + 2] = b"\x11\x11"
    path.write_bytes(data)


def draft_shorter(source: Path, _copy: Path) -> None:
    path = source / "generation_config.json"
    defaults = json.loads(path.read_bytes())
    path.write_text(json.dumps(defaults | {"max_denoising_steps": 3}))


def truncate(_source: Path, copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def damage(_source: Path, copy: Path) -> None:
    """One letter in the name of a tensor."""
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b"layers.1.experts.packed", b"layers.1.experts.qacked", 1))


def age(_source: Path, copy: Path) -> None:
    config = json.loads((copy / "config.json").read_bytes())
    config["quantization_config"]["format"] = 0
    (copy / "config.json").write_text(json.dumps(config))


def lose_weights(_source: Path, copy: Path) -> None:
    (copy / "model.safetensors").unlink()


def garble(_source: Path, copy: Path) -> None:
    (copy / "config.json").write_text("[3]")


def replace_by_original(source: Path, copy: Path) -> None:
    shutil.rmtree(copy)
    shutil.copytree(source, copy)


@pytest.mark.parametrize(
    "harm",
    [
        retrain,
        retrain_between_samples,
        draft_shorter,
        truncate,
        damage,
        age,
        lose_weights,
        garble,
        replace_by_original,
    ],
)
def test_a_copy_that_does_not_match_is_made_again(
    source: Path, cache: Path, harm: Callable[[Path, Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = packs(monkeypatch)
    load_packed(source, "4-bit", cache)
    harm(source, files.packed_copy_folder(source, "4-bit", cache))
    again = load_packed(source, "4-bit", cache)
    assert len(done) == 4
    unsaved = load_packed(source, "4-bit")
    assert same(again, unsaved)
    assert again.generation_config.to_dict() == unsaved.generation_config.to_dict()
    done.clear()
    assert same(load_packed(source, "4-bit", cache), again)
    assert not done


def test_4_bit_experts_for_other_vector_units_are_packed_again(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of their bytes depends on these; that of 8-bit ones does not."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SOMETHING ELSE")
    load_packed(source, "int4", cache)
    load_packed(source, "int8", cache)
    monkeypatch.undo()
    (foreign,) = (copy for copy in cache.iterdir() if "int4" in copy.name)
    assert load_source(source, "int4", cache).packing
    assert not load_source(source, "int8", cache).packing
    with pytest.raises(ValueError, match="SOMETHING ELSE"):
        load_packed(foreign, "int4")
    load_packed(source, "int4", cache)
    assert not load_source(source, "int4", cache).packing


def test_an_unreadable_format_is_named(source: Path, cache: Path) -> None:
    load_packed(source, "4-bit", cache)
    copy = files.packed_copy_folder(source, "4-bit", cache)
    age(source, copy)
    with pytest.raises(ValueError, match="format 0"):
        load(*load_source(copy, "4-bit"))


def test_a_full_disk_costs_only_the_copy(source: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        model = load_packed(source, "4-bit", cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert same(model, load_packed(source, "4-bit"))
    (record,) = caplog.get_records("call")
    assert record.levelno == logging.WARNING
    assert "not saved" in record.getMessage()
    caplog.clear()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), MemoryError()])
def test_a_fault_while_saving_costs_only_the_copy(
    source: Path,
    cache: Path,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(TextModel, "save_pretrained", fail)
    load_packed(source, "4-bit", cache)
    assert "was not saved" in caplog.text
    caplog.clear()
    assert list(cache.iterdir()) == []


def test_a_disk_is_not_filled_in_vain(
    source: Path, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    monkeypatch.setattr(TextModel, "save_pretrained", lambda *_, **__: pytest.fail("written"))
    load_packed(source, "4-bit", cache)
    assert "No space left" in caplog.text
    caplog.clear()
    assert list(cache.iterdir()) == []


def test_a_copy_that_is_to_be_replaced_makes_room_first(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_packed(source, "4-bit", cache)
    copy = files.packed_copy_folder(source, "4-bit", cache)
    age(source, copy)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000 if copy.exists() else 10**9)
    )
    load_packed(source, "4-bit", cache)
    assert load_source(source, "4-bit", cache) == (copy, None)


def test_a_copy_that_was_moved_and_dated_anew_is_whole(source: Path, cache: Path) -> None:
    load_packed(source, "4-bit", cache)
    copy = files.packed_copy_folder(source, "4-bit", cache)
    os.utime(copy / "model.safetensors", (0, 0))
    assert load_source(source, "4-bit", cache) == (copy, None)


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_copy_that_another_process_has_saved_meanwhile_is_kept(
    source: Path, cache: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, config = load_source(source, "4-bit", cache)
    assert config
    model = load(place, config)
    copy = files.packed_copy_folder(source, "4-bit", cache)
    original_save = TextModel.save_pretrained
    theirs: list[float] = []

    def save_theirs() -> None:
        assert packed_copy.save_packed_copy(load(source, config), source, cache) == 0
        theirs.append((copy / "model.safetensors").stat().st_mtime_ns)

    def slower(self: Any, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(TextModel, "save_pretrained", original_save)
        original_save(self, *args, **kwargs)
        save_theirs()

    if when == "before":
        save_theirs()
        monkeypatch.setattr(TextModel, "save_pretrained", lambda *_, **__: pytest.fail("written"))
    else:
        monkeypatch.setattr(TextModel, "save_pretrained", slower)
    assert packed_copy.save_packed_copy(model, source, cache) == 0
    assert [*cache.iterdir()] == [copy]
    assert [(copy / "model.safetensors").stat().st_mtime_ns] == theirs
    assert load_source(source, "4-bit", cache) == (copy, None)


def test_a_copy_of_a_newer_version_stays(source: Path, cache: Path) -> None:
    copy = files.packed_copy_folder(source, "4-bit", cache)
    copy.mkdir(parents=True)
    told = b'{"quantization_config": {"format": 999}}'
    (copy / "config.json").write_bytes(told)
    place, config = load_source(source, "4-bit", cache)
    assert place == source
    assert packed_copy.save_packed_copy(load(source, config), source, cache) == 0
    assert [(path.name, path.read_bytes()) for path in copy.iterdir()] == [("config.json", told)]


def test_what_cannot_be_read_back_costs_only_the_copy(
    source: Path, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        TextModel, "save_pretrained", lambda self, place, **_: self.config.save_pretrained(place)
    )
    model = load_packed(source, "4-bit")
    kept = sum(tensor.nbytes for tensor in model.parameters())
    assert packed_copy.save_packed_copy(model, source, cache) == kept
    assert "not saved" in caplog.text
    caplog.clear()
    assert list(cache.iterdir()) == []
