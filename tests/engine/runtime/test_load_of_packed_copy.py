"""A packed copy that cannot be kept, is damaged, or lies on a disk that fails."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import core_model_loading

from engine.checkpoints import catalogue, files
from engine.checkpoints.checkpoint import Checkpoint
from engine.model.loading import TextModel
from engine.protocol.events import Cancelled, Ready
from engine.protocol.requests import LoadRequest
from engine.quantization import packed_copy
from engine.quantization.packed_experts import PackedExperts
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import load
from tests.engine.runtime.conftest import failed_of


def test_a_packed_copy_that_could_not_be_kept_is_told(
    packed_tiny: tuple[str, Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, copy = packed_tiny
    ready = load(LocalEngine(), model, precision="4-bit")[-1]  # from the copy
    assert isinstance(ready, Ready)
    assert ready.unsaved_bytes == 0
    shutil.rmtree(copy)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    ready = load(LocalEngine(), model, precision="4-bit")[-1]
    assert isinstance(ready, Ready)
    assert 0.9 * ready.memory_bytes < ready.unsaved_bytes <= ready.memory_bytes
    caplog.clear()


@pytest.fixture
def packed_tiny(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """The tiny model, and the copy of it that was packed by a load."""
    cache = tmp_path / "packed"
    monkeypatch.setattr(catalogue, "packed_models_folder", lambda: cache)
    ready = load(LocalEngine(), str(tiny_folder), precision="4-bit")[-1]
    assert isinstance(ready, Ready)
    assert ready.unsaved_bytes == 0
    return str(tiny_folder), files.packed_copy_folder(tiny_folder, "4-bit", cache)


def _rename_a_tensor(copy: Path) -> None:
    """As if another version of the library had saved it."""
    tensors = load_file(copy / "model.safetensors")
    name = next(name for name in tensors if name.endswith("q_proj.weight"))
    tensors[name.replace("q_proj", "query_proj")] = tensors.pop(name)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    (copy / packed_copy.SEAL).write_text(packed_copy.fingerprint(Checkpoint.open(copy)))


def test_a_packed_copy_that_cannot_be_loaded_is_made_again(
    packed_tiny: tuple[str, Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, copy = packed_tiny
    _rename_a_tensor(copy)
    library: Any = TextModel
    read: list[weakref.ref[Any]] = []
    alive: list[bool] = []

    def watched(*args: Any, **kwargs: Any) -> Any:
        alive.extend(former() is not None for former in read)
        made = original(*args, **kwargs)
        read.append(weakref.ref(made[0]))
        return made

    original = library.from_pretrained
    monkeypatch.setattr(library, "from_pretrained", watched)
    ready = load(LocalEngine(), model, precision="4-bit")[-1]
    assert isinstance(ready, Ready)
    assert ready.unsaved_bytes == 0
    assert alive == [False]  # both at once would not fit
    assert "q_proj" in caplog.text
    caplog.clear()
    assert isinstance(load(LocalEngine(), model, precision="4-bit")[-1], Ready)
    assert len(read) == 3
    assert [*copy.parent.iterdir()] == [copy]


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.EIO, os.strerror(errno.EIO)),
        SafetensorError("Could not read tensor bytes for slicing: Input/output error (os error 5)"),
    ],
)
@pytest.mark.parametrize("always", [False, True])
def test_a_packed_copy_outlasts_a_disk_that_fails(
    packed_tiny: tuple[str, Path], always: bool, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the model is packed again, unless that fails too."""
    model, copy = packed_tiny
    files = {path: path.stat().st_mtime_ns for path in copy.iterdir()}
    library: Any = TextModel
    original = library.from_pretrained

    def failing(source: Path, *args: Any, **kwargs: Any) -> Any:
        if always or source == copy:
            raise fault
        return original(source, *args, **kwargs)

    monkeypatch.setattr(library, "from_pretrained", failing)
    last = load(LocalEngine(), model, precision="4-bit")[-1]
    if always:
        assert (failed_of([last]).kind, "Input/output error" in failed_of([last]).message) == (
            "weights-missing",
            True,
        )
    else:
        assert isinstance(last, Ready)
    assert {path: path.stat().st_mtime_ns for path in copy.iterdir()} == files


@pytest.mark.parametrize("end", ["cancel", "fault"])
@pytest.mark.parametrize("spoilt", [False, True])
def test_a_packed_copy_outlasts_what_is_not_its_fault(
    packed_tiny: tuple[str, Path],
    end: str,
    spoilt: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """spoilt: then it ends the load that follows, from the original."""
    model, copy = packed_tiny
    if spoilt:
        _rename_a_tensor(copy)
    cancelled = threading.Event()

    place: tuple[Any, str] = (PackedExperts, "pack") if spoilt else (core_model_loading, "_materialize_copy")
    original = getattr(*place)

    def stop(*args: Any, **kwargs: Any) -> Any:
        if end == "fault":
            raise torch.OutOfMemoryError("CUDA out of memory")
        cancelled.set()
        return original(*args, **kwargs)

    monkeypatch.setattr(*place, stop)
    request = LoadRequest(request_id="l", model=model, device="cpu", precision="4-bit")
    *_, last = LocalEngine().load(request, cancelled)
    if end == "cancel":
        assert isinstance(last, Cancelled)
    else:
        assert failed_of([last]).kind == "out-of-memory"
    assert copy.exists() != spoilt
    caplog.clear()
