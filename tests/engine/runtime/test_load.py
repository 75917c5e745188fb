"""What a load says, on the bundled model and on a tiny random one."""

from __future__ import annotations

import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import core_model_loading
from transformers.utils import logging as transformers_logging

from engine.checkpoints import catalogue, files, memory_estimate, model_shape
from engine.checkpoints.precision import Precision
from engine.hardware import torch_devices
from engine.model import fast_modules
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.loading import READ_FRACTION
from engine.protocol.capabilities import EngineCapabilities
from engine.protocol.events import Cancelled, Failed, Loading, Ready
from engine.protocol.requests import LoadRequest
from engine.quantization.packed_experts import PackedExperts
from engine.runtime.local_engine import STARTED, LocalEngine
from tests.engine.conftest import draft, load, plan_for
from tests.engine.runtime.conftest import BEFORE, failed_of, finished_of, frames_of


def _unchanged(_tensors: dict[str, torch.Tensor]) -> None: ...


def test_a_load_tells_its_stages_the_devices_and_what_is_ready() -> None:
    events = load(LocalEngine())
    loading = [event for event in events if isinstance(event, Loading)]
    assert all(isinstance(event, Loading) for event in events[:-1])
    assert [event.fraction for event in loading] == sorted(event.fraction for event in loading)
    assert loading[0].devices == ()
    assert [device.id for device in loading[1].devices][-1] == "cpu"
    ready = events[-1]
    assert isinstance(ready, Ready)
    assert ready.label.startswith("Starter model")
    assert ready.device.id == "cpu"
    assert (ready.canvas_tokens, ready.max_steps) == (256, 96)
    assert ready.capabilities == EngineCapabilities(
        frames=True, pins=True, start_text=True, reads_ahead=True, max_batch=8
    )
    assert (ready.t_min, ready.t_max, ready.entropy_bound) == (0.3, 0.5, 0.05)


@pytest.mark.parametrize(("precision", "most"), [("int8", 24), ("int4", 24), ("4-bit", 96), ("fp32", 96)])
def test_where_steps_are_slow_fewer_are_allowed(precision: str, most: int) -> None:
    session = LocalEngine()
    ready = load(session, precision=precision)[-1]
    assert isinstance(ready, Ready)
    assert ready.max_steps == most
    assert frames_of(draft(session, BEFORE, max_steps=30, early_stop=False))[-1].step == 30


@pytest.mark.both_worlds
def test_the_automatic_precision_is_the_one_that_suits_the_processor_and_drafts() -> None:
    session = LocalEngine()
    ready = load(session, precision="auto")[-1]
    assert isinstance(ready, Ready)
    assert ready.precision == ("bf16" if ready.device.bf16 else "fp32")
    frames = frames_of(draft(session, BEFORE, seed=7, max_steps=8))
    first, last = (sum(token.entropy for token in frame.tokens) for frame in (frames[0], frames[-1]))
    assert last < first / 2


def test_a_load_tells_the_longest_prompt_not_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.model.diffusion_gemma.DEFAULT_CONTEXT_TOKENS", 100)
    ready = load(LocalEngine())[-1]
    assert isinstance(ready, Ready)
    assert ready.context_tokens == 4096 - 4 * 256


def test_a_load_tells_of_a_card_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_devices, "idle_card", lambda: "Get another driver.")
    loading = [event for event in load(LocalEngine()) if isinstance(event, Loading)]
    assert [event.idle_card for event in loading[:3]] == ["", "Get another driver.", ""]


def test_a_load_tells_how_much_is_read() -> None:
    loading = [event for event in load(LocalEngine()) if isinstance(event, Loading)]
    read = [event.fraction for event in loading if event.stage == "Reading the model"]
    assert read[0] == STARTED
    assert read[-1] > 0.98
    assert len(set(read)) == len(read) > 50


@pytest.mark.parametrize("precision", ["fp32", "4-bit"])
def test_a_load_can_be_cancelled_while_it_reads(precision: Precision) -> None:
    told: list[float] = []

    class EnoughError(Exception):
        pass

    def on_progress(share: float) -> None:
        told.append(share)
        if share > 0.5:
            raise EnoughError

    with pytest.raises(EnoughError):
        DiffusionGemma(plan_for(catalogue.STARTER.folder, precision), on_progress)
    assert 0.5 < told[-1] < 0.6
    told.clear()
    assert list(transformers_logging.tqdm([1, 2], desc="Loading weights")) == [1, 2]
    assert not told  # nobody listens any more

    cancelled, session = threading.Event(), LocalEngine()
    request = LoadRequest(request_id="l", model="starter", device="cpu", precision=precision)
    stages = []
    for event in session.load(request, cancelled):
        stages.append(event)
        if isinstance(event, Loading) and event.fraction >= 0.3:
            cancelled.set()
    assert isinstance(stages[-1], Cancelled)
    assert failed_of(draft(session)).kind == "bug"


@pytest.mark.parametrize("precision", ["fp32", "4-bit"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out-of-memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), "out-of-memory"),
        (torch.AcceleratorError("CUDA error: device lost"), "device-lost"),
    ],
)
@pytest.mark.parametrize("place", [(core_model_loading, "_materialize_copy"), (PackedExperts, "pack")])
def test_a_fault_of_the_machine_while_loading_is_no_damaged_model(
    precision: str, error: Exception, kind: str, place: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def fail(*_: Any, **__: Any) -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(*place, fail)
    event = load(LocalEngine(), precision=precision)[-1]
    if (precision, place[1]) == ("fp32", "pack"):
        assert isinstance(event, Ready)
    else:
        assert failed_of([event]).kind == kind
        assert len(tries) == 1 or precision == "fp32"  # where threads read ahead


@pytest.mark.parametrize("end", ["cancel", "fault"])
def test_a_load_that_ends_early_gives_the_memory_back(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left when the device's memory is returned stays there."""
    made: list[weakref.ref[Any]] = []
    alive_then: list[bool] = []
    cancelled = threading.Event()

    def watched(model: Any, *given: Any) -> Any:
        made.append(weakref.ref(model))
        if end == "fault":
            raise torch.OutOfMemoryError("CUDA out of memory")
        cancelled.set()
        return replace(model, *given)

    replace = fast_modules.replace_modules
    monkeypatch.setattr("engine.model.diffusion_gemma.replace_modules", watched)
    monkeypatch.setattr(torch_devices, "free_unused_memory", lambda: alive_then.append(made[0]() is not None))
    request = LoadRequest(request_id="l", model="starter", device="cpu")
    *_, last = LocalEngine().load(request, cancelled)
    assert isinstance(last, Cancelled if end == "cancel" else Failed)
    assert made
    assert alive_then[-1] is False


def test_a_load_can_be_cancelled_while_the_packed_copy_is_written(tmp_path: Path) -> None:
    told: list[float] = []

    class EnoughError(Exception):
        pass

    def on_progress(share: float) -> None:
        told.append(share)
        if share >= READ_FRACTION:
            raise EnoughError

    plan = plan_for(catalogue.STARTER.folder, "4-bit", packed_models=tmp_path / "packed")
    with pytest.raises(EnoughError):
        DiffusionGemma(plan, on_progress)
    assert told[-2] < READ_FRACTION
    assert [*(tmp_path / "packed").iterdir()] == []


def test_a_load_can_be_cancelled() -> None:
    cancelled = threading.Event()
    session = LocalEngine()
    events = session.load(LoadRequest(request_id="l", model="starter", device="cpu"), cancelled)
    next(events)
    cancelled.set()
    assert isinstance(list(events)[-1], Cancelled)
    assert failed_of(draft(session)).kind == "bug"


def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    failed = failed_of(load(LocalEngine(), device="cuda:7"))
    assert failed.kind == "device-missing"
    assert "cuda:7" in failed.message
    assert "cpu" in failed.remedy


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(broken_copy: Callable[..., Path], name: str) -> None:
    folder = broken_copy(_unchanged)
    (folder / name).unlink()
    events = load(LocalEngine(), model=str(folder))
    failed = failed_of(events)
    assert failed.kind == "weights-missing"
    assert name in failed.message
    assert any(event.devices for event in events if isinstance(event, Loading))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "4-bit"])
def test_a_load_tells_what_its_weights_take_there(tiny_folder: Path, precision: Precision) -> None:
    planned = memory_estimate.MemoryEstimate(model_shape.read_shape(tiny_folder), precision).weights_bytes
    ready = load(LocalEngine(), model=str(tiny_folder), precision=precision)[-1]
    assert isinstance(ready, Ready)
    assert planned <= ready.memory_bytes < 1.05 * planned


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_truncated_file_is_named(broken_copy: Callable[..., Path], name: str) -> None:
    folder = broken_copy(_unchanged)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) * 2 // 3])
    failed = failed_of(load(LocalEngine(), model=str(folder)))
    assert failed.kind == "weights-broken"
    assert name in failed.message


def test_a_tensor_that_is_missing_is_never_made_up(
    broken_copy: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    name = "model.decoder.layers.1.mlp.up_proj.weight"
    folder = broken_copy(lambda tensors: tensors.pop(name))
    failed = failed_of(load(LocalEngine(), model=str(folder)))
    assert failed.kind == "weights-broken"
    assert name in failed.details
    caplog.clear()  # the library reports it too


@pytest.mark.parametrize("whole", [False, True], ids=["missing", "reshaped"])
@pytest.mark.parametrize("names", ["down_proj", "gate_up_proj", "gate_up_proj down_proj"])
def test_experts_that_are_missing_or_do_not_fit_are_never_packed(
    names: str, whole: bool, broken_copy: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in names.split():
            path = f"model.decoder.layers.1.experts.{name}"
            tensor = tensors.pop(path)
            if whole:
                tensors[path] = tensor[:, :-1].contiguous()

    failed = failed_of(load(LocalEngine(), model=str(broken_copy(change)), precision="4-bit"))
    assert failed.kind == "weights-broken"
    caplog.clear()  # the library reports it too


def test_a_tensor_of_another_shape_is_refused(
    broken_copy: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.decoder.layers.1.mlp.up_proj.weight"] = torch.zeros(3, 3)

    assert failed_of(load(LocalEngine(), model=str(broken_copy(change)))).kind == "weights-broken"
    caplog.clear()


def test_a_tokenizer_of_another_model_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "mixed")
    shutil.copy(catalogue.STARTER.folder / "tokenizer.json", folder)
    session = LocalEngine()
    assert isinstance(load(session, model=str(folder))[-1], Ready)
    failed = failed_of(draft(session, "It rained."))
    assert (failed.kind, "of another model" in failed.message) == ("weights-broken", True)


def test_a_failed_load_leaves_a_session_that_can_load(tiny_folder: Path) -> None:
    session = LocalEngine()
    failed_of(load(session, model="nix"))
    assert isinstance(load(session, model=str(tiny_folder))[-1], Ready)


def test_weights_in_several_files_load(tiny_folder: Path, tmp_path: Path) -> None:
    import json

    for path in tiny_folder.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(tiny_folder / "model.safetensors")
    names = sorted(tensors)
    index: dict[str, str] = {}
    for number, part in enumerate((names[::2], names[1::2])):
        save_file(
            {name: tensors[name] for name in part}, tmp_path / f"part-{number}.safetensors", {"format": "pt"}
        )
        index |= dict.fromkeys(part, f"part-{number}.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    assert isinstance(load(LocalEngine(), model=str(tmp_path))[-1], Ready)
    told = {"metadata": {}, "weight_map": index | {"model.lost": "part-1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(told))
    failed = failed_of(load(LocalEngine(), model=str(tmp_path)))
    assert (failed.kind, failed.details) == ("weights-broken", "lacks model.lost")
    (tmp_path / "part-1.safetensors").unlink()
    failed = failed_of(load(LocalEngine(), model=str(tmp_path)))
    assert (failed.kind, "part-1.safetensors" in failed.message) == ("weights-missing", True)


def test_a_precision_that_is_asked_for_is_the_one_that_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "packed_models_folder", lambda: tmp_path / "packed")
    session = LocalEngine()
    for precision in ("4-bit", "4-bit"):  # packed, then loaded from the copy
        request = LoadRequest(request_id="l", model="starter", device="cpu", precision=precision)
        ready = list(session.load(request, threading.Event()))[-1]
        assert isinstance(ready, Ready), ready
        assert (ready.precision, ready.label) == ("4-bit", "Starter model")
        assert finished_of(draft(session, BEFORE, max_steps=4)).stats.precision == "4-bit"
    assert [*(tmp_path / "packed").iterdir()] == [
        files.packed_copy_folder(catalogue.STARTER.folder, "4-bit", tmp_path / "packed")
    ]
    unknown = LoadRequest(request_id="l", model="starter", device="cpu", precision="3-bit")
    failed = failed_of(list(session.load(unknown, threading.Event())))
    assert (failed.kind, "3-bit" in failed.message, "4-bit" in failed.remedy) == ("input", True, True)
