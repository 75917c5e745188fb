"""What only a GPU can show: CUDA, or ROCm, which torch calls CUDA too."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine.checkpoints import catalogue, memory_estimate, model_shape
from engine.checkpoints.memory_estimate import STREAM_PARTS
from engine.hardware import torch_devices
from engine.hardware.device_map import DeviceMap
from engine.hardware.nvidia import _has_compiler, engine_environment, nvidia_gpus
from engine.model import link_speed
from engine.model.diffusion_gemma import DiffusionGemma
from engine.protocol.codec import decode_event
from engine.protocol.events import Finished, Frame, Loading, Ready
from engine.protocol.requests import LoadRequest
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import plan_for
from tests.fakes import draft_request

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA or ROCm device"),
]
ROOT = Path(__file__).parents[2]
ONE_OR_TWO = range(min(2, torch.cuda.device_count()))


def run(*arguments: str, **surroundings: str) -> bytes:
    """What Python prints where kernels are compiled. What is wrong with these would be logged."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        cwd=ROOT,
        env=environment | surroundings,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    if _has_compiler():
        assert b"deviate" not in done.stderr
        assert b"unpacked" not in done.stderr
    return done.stdout


def skip_unless_fused(card: str, precision: str) -> None:
    pytest.importorskip("triton")
    if not torch.version.hip and torch.cuda.get_device_capability(card) < (8, 0):
        pytest.skip("older cards than Ampere unpack their experts")
    if not _has_compiler():
        pytest.skip("there is no C compiler, or Python's headers are not here")
    if precision == "fp8" and not next(device for device in torch_devices.devices() if device.id == card).fp8:
        pytest.skip("the card has no FP8")


@pytest.fixture
def session() -> Iterator[LocalEngine]:
    session = LocalEngine()
    yield session
    session.close()


def load(session: LocalEngine, device: str) -> Ready:
    *_, ready = session.load(LoadRequest(request_id="l", model="starter", device=device), threading.Event())
    assert isinstance(ready, Ready), ready
    return ready


@pytest.mark.parametrize("first", [0, 1])
def test_experts_that_are_streamed_give_the_same_bits(first: int) -> None:
    """first: which layer the stream begins with."""
    pytest.importorskip("bitsandbytes")
    card = torch.device("cuda:0")
    logits = []
    for streamed in ((), range(first, 6, 2)):
        model = DiffusionGemma(plan_for(catalogue.STARTER.folder, "4-bit", DeviceMap([card], (), streamed)))
        for layer in model.text_model.model.decoder.layers:
            layer.experts.parts = STREAM_PARTS
        with torch.inference_mode():
            cache = model.new_cache()
            model.prefill(cache, list(range(10, 90)))
            canvas = torch.arange(model.canvas_tokens, device=card)[None]
            for _ in range(20):
                result = model.denoise(model.open_canvases([cache]), canvas, None).clone()
            logits.append(result)
    assert torch.equal(*logits)


def test_the_way_to_the_card_is_measured_within_two_seconds() -> None:
    card = torch_devices.devices()[0]
    if torch.version.cuda:
        assert card.pcie_lanes in (1, 2, 4, 8, 16, 0)
    torch.empty(1, device=card.id)  # CUDA has begun by then
    began = time.perf_counter()
    rate = link_speed.measure_card(card)
    assert time.perf_counter() - began < 2
    assert 5e8 < rate < 1e12


def test_a_gpu_is_listed_with_its_memory_and_uuid() -> None:
    best = torch_devices.devices()[0]
    assert best.id.startswith("cuda:")
    assert 0 < best.free_bytes <= best.total_bytes
    assert best.uuid.startswith("GPU-")
    if torch.version.cuda:
        assert best.uuid in [gpu.uuid for gpu in nvidia_gpus()]
    assert torch_devices.idle_card() == ""


def test_the_loop_drafts_there_and_tells_its_memory(session: LocalEngine) -> None:
    ready = load(session, "cuda:0")
    request = draft_request("d", "Dear Anna,\n\n", max_steps=8, seed=7)
    events = list(session.draft(request, threading.Event()))
    last = events[-1]
    assert isinstance(last, Finished), last
    assert last.text.strip()
    assert last.stats.device == "cuda:0"
    shape, precision = model_shape.read_shape(catalogue.STARTER.describes), session.model.precision
    most = memory_estimate.MemoryEstimate(shape, precision, ready.context_tokens)
    assert most.weights_bytes < last.stats.peak_bytes < 1.05 * most.needed_bytes()


def test_the_same_seed_gives_the_same_frames_there(session: LocalEngine) -> None:
    load(session, "cuda:0")

    def frames() -> list[Frame]:
        request = draft_request("d", "Dear Anna,\n\n", max_steps=8, seed=7)
        events = session.draft(request, threading.Event())
        return [event for event in events if isinstance(event, Frame)]

    assert [frame.tokens for frame in frames()] == [frame.tokens for frame in frames()]


def test_memory_comes_back(session: LocalEngine) -> None:
    load(session, "cuda:0")
    held = torch.cuda.memory_allocated()
    session.unload()
    assert torch.cuda.memory_allocated() < held / 2


@pytest.mark.parametrize("index", range(torch.cuda.device_count()))
def test_the_gpu_chosen_by_uuid_is_the_only_one_used(index: int) -> None:
    chosen = next(device for device in torch_devices.devices() if device.id == f"cuda:{index}")
    command = ["-m", "engine", "draft", "--events", "--steps", "2", "--device", chosen.uuid]
    events = [decode_event(line) for line in run(*command, **engine_environment(chosen.uuid)).splitlines()]
    ready = next(event for event in events if isinstance(event, Ready))
    assert (ready.device.uuid, ready.device.name) == (chosen.uuid, chosen.name)
    told = next(event.devices for event in events if isinstance(event, Loading) and event.devices)
    assert [device.uuid for device in told if device.id != "cpu"] == [chosen.uuid]


FUSED = """
import sys
import torch
from engine.checkpoints import catalogue
from engine.hardware.device_map import DeviceMap
from engine.model.diffusion_gemma import DiffusionGemma
from engine.quantization.kernels.fused_experts import FUSED
from engine.quantization.packed_experts import PackedExperts
from tests.engine.conftest import plan_for

card, precision = sys.argv[1:]
model = DiffusionGemma(plan_for(catalogue.STARTER.folder, precision, DeviceMap([torch.device(card)])))
layers = [module for module in model.text_model.modules() if isinstance(module, PackedExperts)]
assert all(type(layer) in FUSED.values() for layer in layers), "not fused"
ids = model.tokenizer.encode("The kettle had just begun to sing when someone knocked.")
"""

COMPARE = """
fused = model.prefill(model.new_cache(), ids).float()
for layer in layers:
    layer.__class__ = type(layer).__base__
unpacked = model.prefill(model.new_cache(), ids).float()
assert (fused - unpacked).norm() < 0.03 * unpacked.norm(), (fused - unpacked).norm() / unpacked.norm()
"""

WAIT_FOR_NOTHING = """
cache = model.new_cache()
model.prefill(cache, ids)
canvases = model.open_canvases([cache])
canvas = torch.zeros(1, model.canvas_tokens, dtype=torch.long, device=model.device)
model.denoise(canvases, canvas, None)  # what is compiled or cached is so from here on
kind, calls = type(layers[0]), 0
product = kind.forward

def watched(*given):
    global calls
    calls += 1
    torch.cuda.set_sync_debug_mode("error")
    try:
        return product(*given)
    finally:
        torch.cuda.set_sync_debug_mode("default")

kind.forward = watched
model.denoise(canvases, canvas, None)
assert calls == len(model.text_model.model.decoder.layers), calls
"""


@pytest.mark.parametrize("precision", ["4-bit", "fp8"])
@pytest.mark.parametrize("index", ONE_OR_TWO)
def test_experts_are_fused_there_and_agree_with_unpacked_ones(index: int, precision: str) -> None:
    skip_unless_fused(f"cuda:{index}", precision)
    run("-c", FUSED + COMPARE, f"cuda:{index}", precision)


def test_fused_experts_wait_for_nothing_there() -> None:
    skip_unless_fused("cuda:0", "4-bit")
    run("-c", FUSED + WAIT_FOR_NOTHING, "cuda:0", "4-bit")


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="torch finds fewer than two of them")
@pytest.mark.parametrize("precision", ["bf16", "4-bit"])
def test_two_cards_draft_together(precision: str) -> None:
    one, two, *_ = torch_devices.devices()
    both = f"{one.uuid}+{two.uuid}"
    command = [
        "-m",
        "engine",
        "draft",
        "--events",
        "--steps",
        "2",
        "--precision",
        precision,
        "--device",
        both,
    ]
    events = [decode_event(line) for line in run(*command, **engine_environment(both)).splitlines()]
    assert isinstance(events[-1], Finished)
    assert events[-1].stats.device == "cuda:0+cuda:1"
