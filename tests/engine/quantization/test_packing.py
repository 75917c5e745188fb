"""Packing while loading."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.precision import PACKED_PRECISIONS, Precision
from engine.hardware.device_map import DeviceMap
from engine.protocol.errors import FaultError
from engine.quantization import packed_copy
from engine.quantization.nf4 import Nf4Experts
from tests.engine.quantization.conftest import STARTER, expert_tensors
from tests.engine.quantization.packed import (
    CPU,
    load,
    load_packed,
    load_source,
)


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that consists mostly of experts."""
    folder = tmp_path_factory.mktemp("wide")
    text = {
        "vocab_size": 64,
        "hidden_size": 256,
        "intermediate_size": 64,
        "moe_intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "global_head_dim": 16,
        "num_experts": 32,
        "top_k_experts": 2,
        "layer_types": ["full_attention"] * 4,
    }
    vision = {
        "model_type": "gemma4_vision",
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
    }
    vision |= {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 16}
    config = DiffusionGemmaConfig(canvas_length=16, text_config=text, vision_config=vision)
    torch.manual_seed(0)
    model: Any = DiffusionGemmaForBlockDiffusion(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that torch's allocator had given out at any moment of the work."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        result = work()
    del result
    profiler: Any = record.profiler
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: int(event.start_ns())):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", PACKED_PRECISIONS)
@pytest.mark.parametrize("name", ["wide", "starter"])
def test_loading_takes_no_more_than_what_is_packed_and_two_tensors(
    wide_folder: Path, name: str, precision: Precision, dtype: torch.dtype
) -> None:
    folder = STARTER if name == "starter" else wide_folder
    source = folder / "model.safetensors"
    model = load_packed(folder, precision, dtype=dtype)
    packed_bytes = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    sizes = sorted(tensor.numel() * dtype.itemsize for tensor in load_file(source).values())
    most = packed_bytes + sum(sizes[-2:])
    assert sum(sizes) > most  # else the whole model could hide there
    peak = peak_bytes(lambda: load_packed(folder, precision, dtype=dtype))
    assert sum(tensor.nbytes for tensor in expert_tensors(model)) < peak <= most


@pytest.mark.skipif(sys.platform != "linux", reason="a sparse file")
def test_a_file_larger_than_the_main_memory_is_packed(source: Path) -> None:
    path = source / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, weights = json.loads(data[8 : 8 + length]), data[8 + length :]
    end = len(weights) + 4 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    vision = {"dtype": "U8", "shape": [end - len(weights)], "data_offsets": [len(weights), end]}
    large = json.dumps(header | {"model.encoder.vision_tower.sparse": vision}).encode()
    with path.open("wb") as file:
        file.write(len(large).to_bytes(8, "little") + large + weights)
        file.truncate(8 + len(large) + end)
    load_packed(source, "4-bit")


@pytest.mark.usefixtures("packed")  # bitsandbytes keeps its table on the device that asks first
def test_experts_are_packed_where_they_will_be_used_each_brought_there_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    packed_on: list[str] = []
    pack, pack_one = Nf4Experts.pack, Nf4Experts._pack_one

    def read_to(self: Nf4Experts, device: torch.device, **projections: Tensor) -> dict[str, Tensor]:
        read.extend(tensor.device.type for tensor in projections.values())
        return pack(self, device, **projections)

    def packed_to(self: Nf4Experts, held: Any, index: int, *projections: Tensor) -> None:
        packed_on.extend(tensor.device.type for tensor in projections)
        pack_one(self, held, index, *projections)

    monkeypatch.setattr(Nf4Experts, "pack", read_to)
    monkeypatch.setattr(Nf4Experts, "_pack_one", packed_to)
    placement = DeviceMap([CPU, torch.device("meta")], [2, 4])
    model = load(*load_source(STARTER, "4-bit"), placement=placement)
    layers = model.model.decoder.layers
    assert [layer.experts.packed.device.type for layer in layers] == ["cpu"] * 2 + ["meta"] * 4
    assert read == ["cpu"] * 2 * len(layers)
    each = 2 * layers[0].experts.num_experts
    assert packed_on == ["cpu"] * 2 * each + ["meta"] * 4 * each


def test_a_precision_that_packs_nothing_changes_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    assert load_source(tiny_folder, "bf16", tmp_path) == (tiny_folder, None)
    assert Checkpoint.open(tiny_folder).shape.packed is None


def test_without_bitsandbytes_a_packed_precision_is_refused(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_source(tiny_folder, "4-bit")[1]
    monkeypatch.setattr(packed_copy, "find_spec", lambda _name: None)
    assert load_source(tiny_folder, "bf16") == (tiny_folder, None)
    for precision in ("4-bit", "4-bit-tight"):
        with pytest.raises(FaultError, match="bitsandbytes") as caught:
            load_source(tiny_folder, precision)
        assert caught.value.fault.kind == "input"
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # no import finds it
    load_packed(tiny_folder, "fp8")
