"""A session: what a load and a draft say, on the bundled model and on a tiny random one."""

from __future__ import annotations

import errno
import gc
import math
import os
import resource
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import core_model_loading
from transformers.utils import logging as transformers_logging

from engine.checkpoints import catalogue, files, memory_estimate, model_shape
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.precision import Precision
from engine.hardware import torch_devices
from engine.model import fast_modules
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.loading import READ_FRACTION, TextModel
from engine.protocol.capabilities import EngineCapabilities
from engine.protocol.events import (
    Cancelled,
    Committed,
    DraftEvent,
    Failed,
    Finished,
    Frame,
    Loading,
    Prefilled,
    Prefilling,
    Ready,
    Token,
)
from engine.protocol.requests import DraftPlace, LoadRequest, Pin, Span
from engine.quantization import packed_copy
from engine.quantization.packed_experts import PackedExperts
from engine.runtime.local_engine import STARTED, LocalEngine
from tests.engine.conftest import draft, load, plan_for
from tests.fakes import draft_request, prepare_request

BEFORE = "Dear Anna,\n\nThank you for your letter."


def frames_of(events: list[DraftEvent]) -> list[Frame]:
    return [event for event in events if isinstance(event, Frame)]


def finished_of(events: list[DraftEvent]) -> Finished:
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def failed_of(events: list[Any]) -> Failed:
    assert isinstance(events[-1], Failed), events[-1]
    assert events[-1].message
    return events[-1]


def _unchanged(_tensors: dict[str, torch.Tensor]) -> None: ...


def text_of(frame: Frame) -> str:
    return "".join(token.text for token in frame.tokens)


# ------------------------------------------------------------------ load


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


# ------------------------------------------------------------------ draft


@pytest.fixture(scope="module")
def seventh(loaded_starter: LocalEngine) -> list[DraftEvent]:
    return draft(loaded_starter, BEFORE + " ", seed=7, max_steps=40)


def test_a_draft_is_prefilled_developed_committed_and_finished(seventh: list[DraftEvent]) -> None:
    kinds = [type(event) for event in seventh]
    frames = frames_of(seventh)
    assert kinds == [Prefilled, *[Frame] * len(frames), Committed, Finished]
    prefilled = seventh[0]
    assert isinstance(prefilled, Prefilled)
    assert (prefilled.prompt, prefilled.cut_chars, prefilled.reused_tokens) == (BEFORE, 0, 0)
    assert [frame.step for frame in frames] == list(range(len(frames)))
    assert all(len(frame.tokens) == 256 for frame in frames)
    finished = finished_of(seventh)
    assert finished.stats.steps == frames[-1].step
    assert finished.stats.stopped_early == (finished.stats.steps < 40)
    assert 0 < finished.stats.tokens <= 256


def test_a_draft_sharpens_from_noise_to_what_is_committed(seventh: list[DraftEvent]) -> None:
    frames = frames_of(seventh)
    assert all(token.entropy == pytest.approx(math.log(4096), abs=1e-3) for token in frames[0].tokens)
    assert not any(token.accepted for token in frames[0].tokens)
    means = [sum(token.entropy for token in frame.tokens) / 256 for frame in frames]
    assert means[0] > means[1] > means[-1]
    assert any(token.accepted for token in frames[1].tokens)
    finished = finished_of(seventh)
    assert text_of(frames[-1]) == finished.text
    assert finished.text.strip()
    assert not finished.text.startswith(" ")  # the space stands before the caret
    assert "<eos>" not in "".join(map(text_of, frames))


def test_the_same_seed_gives_the_same_text_and_another_seed_another(
    loaded_starter: LocalEngine, seventh: list[DraftEvent]
) -> None:
    again = draft(loaded_starter, BEFORE + " ", seed=7, max_steps=40)
    assert [frame.tokens for frame in frames_of(again)] == [frame.tokens for frame in frames_of(seventh)]
    other = draft(loaded_starter, BEFORE + " ", seed=8, max_steps=40)
    assert finished_of(other).text != finished_of(seventh).text


def starting_tokens(events: list[DraftEvent]) -> list[tuple[Token, ...]]:
    """The random canvas of each draft."""
    return [frame.tokens for frame in frames_of(events) if frame.step == 0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_draft_n_starts_from_the_noise_of_seed_plus_n(tiny_folder: Path, precision: Precision) -> None:
    session = LocalEngine()
    load(session, str(tiny_folder), precision)
    alone = [starting_tokens(draft(session, seed=7 + n, max_steps=1)) for n in range(4)]
    for variants in (1, 2, 4):
        together = starting_tokens(draft(session, seed=7, variants=variants, max_steps=1))
        assert together == [tokens for (tokens,) in alone[:variants]]
    assert alone[0] != alone[1]


def test_in_fp32_variant_n_is_the_draft_of_seed_plus_n(loaded_starter: LocalEngine) -> None:
    both = draft(loaded_starter, BEFORE, seed=7, variants=2, max_steps=6)
    texts = [event.text for event in both if isinstance(event, Finished)]
    assert [event.variant for event in both if isinstance(event, Finished)] == [0, 1]
    alone = draft(loaded_starter, BEFORE, seed=8, max_steps=6)
    assert finished_of(alone).text == texts[1] != texts[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_request_gives_the_same_frames_in_every_precision(
    tiny_folder: Path, precision: Precision
) -> None:
    frames: list[list[tuple[Token, ...]]] = []
    for _ in range(2):
        session = LocalEngine()
        load(session, str(tiny_folder), precision)
        for _ in range(2):
            events = draft(session, seed=7, variants=3, max_steps=8, canvases=2)
            frames.append([frame.tokens for frame in frames_of(events)])
    assert frames[0] == frames[1] == frames[2] == frames[3]


def test_variants_of_one_batch_tell_their_steps_side_by_side(tiny_session: LocalEngine) -> None:
    events = draft(tiny_session, variants=3, max_steps=4, early_stop=False, min_tokens=1)
    assert [(frame.step, frame.variant) for frame in frames_of(events)] == [
        (step, variant) for step in range(5) for variant in range(3)
    ]
    assert sorted(event.variant for event in events if isinstance(event, Finished)) == [0, 1, 2]


def test_places_are_drafted_in_one_batch_each_with_its_own_prompt(
    tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of different lengths, longer and shorter than the sliding window."""
    befores = ["It rained", "A much longer text than that one", "It rained"]
    passes: list[int] = []
    denoise = tiny_session.model.denoise
    alone = [draft(tiny_session, before, seed=n, max_steps=3) for n, before in enumerate(befores)]

    def spy(canvases: Any, ids: torch.Tensor, *others: Any) -> torch.Tensor:
        passes.append(len(ids))
        return denoise(canvases, ids, *others)

    monkeypatch.setattr(tiny_session.model, "denoise", spy)
    places = tuple(DraftPlace(before=before) for before in befores)
    events = draft(tiny_session, places=places, max_steps=3, early_stop=False)
    assert passes == [3, 3, 3]
    prefilled = [event for event in events if isinstance(event, Prefilled)]
    assert [(event.place, event.prompt) for event in prefilled] == list(enumerate(befores))
    texts = {event.place: event.text for event in events if isinstance(event, Finished)}
    assert [texts[n] for n in range(3)] == [finished_of(events).text for events in alone]


def test_each_place_of_a_batch_has_its_own_constraints(tiny_session: LocalEngine) -> None:
    """Pins, lengths and texts to begin from; the second has ended when the others go on to a second canvas,
    and the last is pinned throughout.
    """
    places = (
        DraftPlace(before="It rained", pins=(Pin(2, 40), Pin(9, 41)), min_tokens=20),
        DraftPlace(before="A much longer text than that one", length_tokens=5),
        DraftPlace(before="So", start_text="HELLO", renoise_share=0.4, length_tokens=18, min_tokens=18),
        DraftPlace(before="No", pins=tuple(Pin(n, 50 + n) for n in range(16)), length_tokens=16),
    )
    common: dict[str, Any] = {"canvases": 2, "max_steps": 4, "early_stop": False}
    together = draft(tiny_session, places=places, seed=3, **common)
    for number, place in enumerate(places):
        alone = draft(tiny_session, places=(place,), seed=3 + number, **common)
        ours = [event for event in together if getattr(event, "place", None) == number]
        assert [type(event) for event in ours] == [type(event) for event in alone]
        for event, expected in zip(ours, alone, strict=True):
            if isinstance(event, Frame) and isinstance(expected, Frame):
                assert (event.canvas, event.step, event.variant) == (expected.canvas, expected.step, 0)
                assert [(token.text, token.accepted, token.pinned) for token in event.tokens] == [
                    (token.text, token.accepted, token.pinned) for token in expected.tokens
                ]
                assert [token.entropy for token in event.tokens] == pytest.approx(
                    [token.entropy for token in expected.tokens], abs=2e-4
                )
            elif isinstance(event, Finished) and isinstance(expected, Finished):
                assert (event.text, event.stats.tokens, event.stats.steps) == (
                    expected.text,
                    expected.stats.tokens,
                    expected.stats.steps,
                )
    tokens = {event.place: event.stats.tokens for event in together if isinstance(event, Finished)}
    assert (tokens[1], tokens[2], tokens[3]) == (5, 18, 16)
    assert tokens[0] >= 20


def test_variants_are_counted_within_their_place_and_seeds_through_the_batch(
    tiny_session: LocalEngine,
) -> None:
    places = (DraftPlace(before="It rained"), DraftPlace(before="It snowed"))
    events = draft(tiny_session, places=places, variants=2, seed=5, max_steps=3)
    texts = {(event.place, event.variant): event.text for event in events if isinstance(event, Finished)}
    assert sorted(texts) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {(event.place, event.variant) for event in events if isinstance(event, Committed)} == set(texts)
    alone = draft(tiny_session, "It snowed", seed=5 + 3, max_steps=3)
    assert texts[1, 1] == finished_of(alone).text != texts[1, 0]


def test_a_length_ends_the_draft_and_a_least_length_keeps_it_going(tiny_session: LocalEngine) -> None:
    for length in (3, 16, 20):
        events = draft(tiny_session, canvases=2, max_steps=3, length_tokens=length, min_tokens=length)
        assert finished_of(events).stats.tokens == length
    pinned = [
        token.pinned for token in frames_of(draft(tiny_session, length_tokens=3, max_steps=2))[0].tokens
    ]
    assert pinned == [position == 3 for position in range(16)]


def test_a_draft_keeps_what_is_held_of_the_text_before_it(tiny_session: LocalEngine) -> None:
    held: dict[str, Any] = {"start_text": "HELLO", "held": (Span(1, 3),)}
    for frame in frames_of(draft(tiny_session, max_steps=2, **held)):
        assert text_of(frame)[1:3] == "EL"
        assert [token.pinned for token in frame.tokens] == [False, True, True] + [False] * 13
    whole = frames_of(draft(tiny_session, start_text="HELLO", renoise_share=0.0, max_steps=2))[-1]
    assert text_of(whole)[:5] == "HELLO"


def test_what_was_read_before_is_reused_and_changes_nothing(
    tiny_session: LocalEngine, tiny_folder: Path
) -> None:
    """Longer than the window, and with the caret going back and forth."""
    tiny_session.model.prefill_tokens = 8
    text = "".join(chr(65 + n % 26) for n in range(60))
    changed = text[:40] + "!" + text[41:]
    for before in (text[:50], text, text, text[:45], changed, "Q" + text, text[:9]):
        warm = draft(tiny_session, before, max_steps=3)
        fresh = LocalEngine()
        load(fresh, model=str(tiny_folder))
        fresh.model.prefill_tokens = 8
        cold = draft(fresh, before, max_steps=3)
        assert frames_of(warm) == [
            msgspec.structs.replace(frame, elapsed_s=own.elapsed_s)
            for frame, own in zip(frames_of(cold), frames_of(warm), strict=True)
        ]


def reused(events: list[DraftEvent]) -> int:
    return next(event.reused_tokens for event in events if isinstance(event, Prefilled))


def test_reading_ahead_leaves_the_draft_nothing_to_read(tiny_session: LocalEngine) -> None:
    tiny_session.model.prefill_tokens = 8
    tiny_session.prepare(prepare_request("It rained all day long."), threading.Event())
    assert reused(draft(tiny_session, "It rained all day long.", max_steps=2)) == 24
    assert reused(draft(tiny_session, "It rained all day long. And", max_steps=2)) == 24
    assert reused(draft(tiny_session, "It snowed", max_steps=2)) == 0


def test_reading_ahead_stops_between_blocks_and_keeps_what_it_read(
    tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cancelled = tiny_session.model, threading.Event()
    model.prefill_tokens = 8
    prefill, read = model.prefill, list[int]()

    def spy(cache: Any, ids: list[int]) -> torch.Tensor:
        read.append(len(ids))
        if len(read) == 2:
            cancelled.set()
        return prefill(cache, ids)

    monkeypatch.setattr(model, "prefill", spy)
    tiny_session.prepare(prepare_request("x" * 39), cancelled)
    assert read == [8, 8]
    assert reused(draft(tiny_session, "x" * 39, max_steps=2)) == 16


def test_a_fault_while_reading_ahead_is_forgotten(
    tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tiny_session.model, "prefill", lambda *_: 1 / 0)
        tiny_session.prepare(prepare_request("It rained"), threading.Event())
    assert reused(draft(tiny_session, max_steps=2)) == 0
    LocalEngine().prepare(prepare_request("no model"), threading.Event())


def test_two_thousand_drafts_leave_memory_flat_and_the_first_as_it_was(tiny_session: LocalEngine) -> None:
    """Different texts, lengths and variants, some given up, and now and then the first one again."""

    def first() -> list[Any]:
        return [frame.tokens for frame in frames_of(draft(tiny_session, max_steps=2, seed=5))]

    def one(n: int) -> None:
        cancelled = threading.Event()
        request = draft_request(str(n), "word " * (n % 9), seed=n, variants=1 + n % 2, max_steps=1)
        for event in tiny_session.draft(request, cancelled):
            if n % 7 == 0 and isinstance(event, Frame):
                cancelled.set()

    def held() -> int:
        gc.collect()
        return len(gc.get_objects())

    before = first()
    for n in range(200):
        one(n)
    objects, resident = held(), resident_bytes()
    for n in range(200, 2000):
        one(n)
    assert first() == before
    assert held() - objects < 500
    assert resident_bytes() - resident < 8e6


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_canvases_follow_each_other(tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_session.model
    prefill, read = model.prefill, list[list[int]]()

    def spy(cache: Any, ids: list[int]) -> torch.Tensor:
        read.append(ids)
        return prefill(cache, ids)

    monkeypatch.setattr(model, "prefill", spy)
    events = draft(tiny_session, canvases=2, max_steps=3, min_tokens=32)
    committed = [event for event in events if isinstance(event, Committed)]
    assert [event.canvas for event in committed] == [0, 1]
    assert finished_of(events).text == "".join(event.text for event in committed)
    assert finished_of(events).stats.tokens == 32
    assert {frame.canvas for frame in frames_of(events)} == {0, 1}
    assert [len(ids) for ids in read] == [10, 16]
    shown = model.detokenizer.texts(read[1])[0]
    assert "".join(shown) == committed[0].text


def test_nothing_follows_the_end_token(loaded_starter: LocalEngine) -> None:
    events = draft(loaded_starter, BEFORE, seed=7, canvases=3)
    assert len([event for event in events if isinstance(event, Committed)]) == 1


def test_pins_hold_from_the_first_frame_and_in_the_text(loaded_starter: LocalEngine) -> None:
    model = loaded_starter.model
    word = model.tokenizer.encode(" otters")
    pins = tuple(Pin(5 + n, token) for n, token in enumerate(word))
    events = draft(loaded_starter, BEFORE, seed=7, max_steps=12, pins=pins)
    for frame in frames_of(events):
        assert "".join(frame.tokens[pin.position].text for pin in pins) == " otters"
        assert all(frame.tokens[pin.position].pinned for pin in pins)
        assert sum(token.pinned for token in frame.tokens) == len(pins)
    assert " otters" in finished_of(events).text


def test_a_canvas_pinned_throughout_is_finished_at_once(tiny_session: LocalEngine) -> None:
    pins = tuple(Pin(n, 40 + n) for n in range(16))
    events = draft(tiny_session, pins=pins)
    assert finished_of(events).stats.steps == 0
    assert len(frames_of(events)) == 1


def test_a_trailing_indentation_is_not_doubled(loaded_starter: LocalEngine) -> None:
    before = "```python\ndef f(x):\n    "
    events = draft(loaded_starter, before, max_steps=4)
    prefilled = events[0]
    assert isinstance(prefilled, Prefilled)
    assert prefilled.prompt == before[:-1]


def test_an_empty_document_can_be_drafted_into(loaded_starter: LocalEngine) -> None:
    assert finished_of(draft(loaded_starter, "", max_steps=8)).text


def test_a_cancel_is_seen_between_two_steps(loaded_starter: LocalEngine) -> None:
    cancelled = threading.Event()
    events: list[DraftEvent] = []
    for event in loaded_starter.draft(draft_request("d", BEFORE), cancelled):
        events.append(event)
        if isinstance(event, Frame) and event.step == 2:
            cancelled.set()
    assert isinstance(events[-1], Cancelled)
    assert frames_of(events)[-1].step == 2


def test_what_is_finished_cannot_be_cancelled(tiny_session: LocalEngine) -> None:
    request, cancelled = draft_request("d", "x", variants=2, max_steps=2), threading.Event()
    events = []
    for event in tiny_session.draft(request, cancelled):
        events.append(event)
        if sum(isinstance(event, Finished) for event in events) == 2:
            cancelled.set()
    assert isinstance(events[-1], Finished)


def test_a_cancel_is_seen_between_two_chunks_of_a_prefill(
    loaded_starter: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cancelled = loaded_starter.model, threading.Event()
    chunks: list[int] = []

    def prefill(cache: object, ids: list[int]) -> None:
        chunks.append(len(ids))
        cancelled.set()

    loaded_starter.prepare(prepare_request("something else"), threading.Event())

    monkeypatch.setattr(model, "prefill", prefill)
    request = draft_request("d", "It rained all day. " * 300)
    assert isinstance(list(loaded_starter.draft(request, cancelled))[-1], Cancelled)
    assert chunks == [model.prefill_tokens]


def test_a_cancel_is_seen_between_two_layers_of_a_step(
    loaded_starter: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled, passed = threading.Event(), []
    layers = loaded_starter.model.text_model.model.decoder.layers
    for layer in layers:
        forward = layer.forward

        def watched(*given: Any, forward: Any = forward, **named: Any) -> Any:
            passed.append(1)
            if len(passed) == len(layers) + 2:  # in the midst of the second step
                cancelled.set()
            return forward(*given, **named)

        monkeypatch.setattr(layer, "forward", watched)
    events = list(loaded_starter.draft(draft_request("d", BEFORE), cancelled))
    assert isinstance(events[-1], Cancelled)
    assert len(passed) == len(layers) + 2
    monkeypatch.undo()
    assert finished_of(draft(loaded_starter, BEFORE, max_steps=2))


def test_a_long_prompt_tells_how_far_it_is_read(
    loaded_starter: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.diffusion.draft_batch.PROGRESS_S", 0.0)
    events = draft(loaded_starter, "So it snowed on the hills. " * 40, max_steps=1)
    told = [event for event in events if isinstance(event, Prefilling)]
    (prefilled,) = (event for event in events if isinstance(event, Prefilled))
    block, count = loaded_starter.model.prefill_tokens, prefilled.prompt_tokens
    assert count > 2 * block
    assert [event.read_tokens for event in told] == [*range(block, count, block), count]
    assert {event.prompt_tokens for event in told} == {count}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_steps", 0),
        ("max_steps", 129),
        ("canvases", 0),
        ("canvases", 5),
        ("variants", 5),
        ("seed", -1),
        ("seed", 2**63),
        ("context_tokens", 3),
        ("entropy_bound", math.nan),
        ("t_min", 9.0),
        ("pins", (Pin(16, 5),)),
        ("pins", (Pin(-1, 5),)),
        ("pins", (Pin(3, 99),)),
        ("pins", (Pin(3, 5), Pin(3, 6))),
        ("variants", 0),
        ("renoise_share", 1.5),
        ("min_tokens", -1),
        ("min_tokens", 17),
        ("length_tokens", 0),
        ("length_tokens", 17),
        ("start_text", "a" * 17),
    ],
)
def test_what_is_out_of_range_is_named(tiny_session: LocalEngine, field: str, value: Any) -> None:
    failed = failed_of(draft(tiny_session, **{field: value}))
    assert failed.kind == "input"
    named = {
        "pins": lambda: msgspec.structs.astuple(value[-1]),
        "start_text": lambda: (len(value),),
    }.get(field, lambda: (value,))()
    assert any(str(part) in failed.message for part in named)
    assert failed.remedy


@pytest.mark.parametrize(
    "fields",
    [
        {"length_tokens": 5, "min_tokens": 6},
        {"length_tokens": 5, "pins": (Pin(5, 9),)},
        {"min_tokens": 5, "pins": (Pin(4, 1),)},
        {"variants": 3, "places": (DraftPlace(before="x"),) * 3},
        {"places": ()},
    ],
)
def test_what_contradicts_itself_is_refused(tiny_session: LocalEngine, fields: dict[str, Any]) -> None:
    failed = failed_of(draft(tiny_session, **fields))
    assert failed.kind == "input"
    assert failed.remedy


def test_one_of_several_places_is_named(tiny_session: LocalEngine) -> None:
    wrong: list[dict[str, Any]] = [{"renoise_share": 2.0}, {"length_tokens": 17}, {"start_text": "a" * 17}]
    for fields in wrong:
        place = DraftPlace(before="x", **fields)
        alone = failed_of(draft(tiny_session, places=(place,))).message
        several = failed_of(draft(tiny_session, places=(DraftPlace(before="x"), place)))
        assert several.kind == "input"
        assert several.message == f"Place 2 of 2: {alone}"


def test_temperatures_in_the_wrong_order_are_refused(tiny_session: LocalEngine) -> None:
    assert failed_of(draft(tiny_session, t_min=0.9, t_max=0.2)).kind == "input"


def logits_of(token: int | None = None, fill: float = 0.0) -> Callable[..., torch.Tensor]:
    def denoise(canvases: object, ids: torch.Tensor, *_others: object) -> torch.Tensor:
        logits = torch.full((ids.numel(), 99), fill)
        if token is not None:
            logits[:, token] = 50.0
        return logits

    return denoise


@pytest.mark.parametrize(
    "denoise", [logits_of(token=0), logits_of(token=1), logits_of(fill=math.nan), logits_of(fill=math.inf)]
)
def test_padding_nothing_and_no_numbers_are_refused(
    tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch, denoise: Callable[..., torch.Tensor]
) -> None:
    monkeypatch.setattr(tiny_session.model, "denoise", denoise)
    failed = failed_of(draft(tiny_session))
    assert failed.kind == "output"
    assert failed.remedy


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_is_told_and_the_next_draft_works(
    tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def denoise(*_arguments: object) -> torch.Tensor:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(tiny_session.model, "denoise", denoise)
        assert failed_of(draft(tiny_session)).kind == "out-of-memory"
    assert finished_of(draft(tiny_session, max_steps=2)).text


def test_the_canvases_of_a_failed_draft_are_freed(
    tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import weakref

    caches: list[weakref.ref[object]] = []

    def denoise(cache: object, *_arguments: object) -> torch.Tensor:
        caches.append(weakref.ref(cache))
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(tiny_session.model, "denoise", denoise)
    events: Iterator[DraftEvent] = tiny_session.draft(draft_request("d", "x"), threading.Event())
    assert any(isinstance(event, Failed) for event in events)
    assert caches
    assert caches[0]() is None


def test_a_draft_without_a_model_fails_and_unload_takes_it_away(tiny_session: LocalEngine) -> None:
    tiny_session.unload()
    assert failed_of(draft(tiny_session)).kind == "bug"
    tiny_session.close()
