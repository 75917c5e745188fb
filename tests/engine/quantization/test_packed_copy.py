"""Packed experts against the library's, and against arithmetic written out; loading them; the saved copy."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from engine.checkpoints import catalogue, files
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.precision import PACKED_PRECISIONS, Precision
from engine.hardware.device_map import DeviceMap
from engine.model.loading import TextModel
from engine.protocol.errors import FaultError
from engine.quantization import packed_copy
from engine.quantization.fp8 import Fp8Experts
from engine.quantization.int8_linear import Int8Linear
from engine.quantization.nf4 import Nf4Experts
from engine.quantization.packed_experts import PackedExperts, ScratchBuffer
from engine.text.tokenizer import Tokenizer
from tests.engine.quantization.packed import (
    CPU,
    Operations,
    experts_of,
    load,
    load_packed,
    load_source,
    operations,
    pack,
    routed,
    unpack,
)

STARTER = catalogue.STARTER.folder
KINDS = pytest.mark.parametrize("kind", [Nf4Experts, Fp8Experts])
Kind = type[PackedExperts]
TEXT = (
    "The kettle had just begun to sing when someone knocked at the back door. Anna put down her cup and"
    " listened. Nobody ever came that way in winter, because the path was steep and the gate was always"
    " locked. She took the lamp from the table and went to see. An old man stood in the snow with a dog"
    " beside him. He asked whether she had some bread to spare, and a place by the fire for an hour. She"
    " looked at the dog, which was thin and very quiet, and opened the door a little wider. They sat for"
    " a while without a word. Outside the wind moved slowly through the trees, and the first stars came"
    " out above the hill. Then the man began to tell her where he had been, and why he had come back"
    " after so many years to a house that he had once been glad to leave."
)


@pytest.fixture(scope="module")
def original() -> Any:
    return load(STARTER)


@pytest.fixture(scope="module")
def packed() -> Any:
    return load_packed(STARTER, "4-bit")


@pytest.fixture(scope="module", params=PACKED_PRECISIONS)
def packed_starter(request: pytest.FixtureRequest, packed: Any) -> Any:
    return packed if request.param == "4-bit" else load_packed(STARTER, request.param)


def expert_tensors(model: Any) -> list[Tensor]:
    layers = model.model.decoder.layers
    return [tensor for layer in layers for tensor in layer.experts.parameters()]


# ------------------------------------------------------------------ the bundled model


def test_packed_experts_take_less_than_three_tenths_in_4_bits_and_half_in_fp8(
    packed_starter: Any, original: Any
) -> None:
    share = 0.501 if packed_starter.config.quantization_config.precision == "fp8" else 0.30
    packed_bytes = sum(tensor.nbytes for tensor in expert_tensors(packed_starter))
    assert packed_bytes <= share * sum(2 * tensor.numel() for tensor in expert_tensors(original))


def test_what_is_not_packed_keeps_its_type_and_what_is_tied_stays_tied(packed_starter: Any) -> None:
    core = packed_starter.model
    for encoder, decoder in zip(core.encoder.language_model.layers, core.decoder.layers, strict=True):
        assert encoder.experts is decoder.experts
        names = [name for name, _ in decoder.named_parameters()]
        assert names
        for name in names:
            assert encoder.get_parameter(name) is decoder.get_parameter(name), name
        assert decoder.router.proj.weight.dtype == torch.float32
    assert packed_starter.lm_head.weight is core.decoder.embed_tokens.weight
    assert packed_starter.lm_head.weight.dtype == torch.float32


def test_the_tight_precision_has_its_linear_layers_in_8_bits() -> None:
    core = load_packed(STARTER, "4-bit-tight").model
    layers = [core.decoder.self_conditioning, *(layer.mlp for layer in core.decoder.layers)]
    layers += [layer.self_attn for layer in core.decoder.layers]
    for layer in layers:
        linear = [child for name, child in layer.named_children() if name.endswith("_proj")]
        assert len(linear) >= 3
        assert all(isinstance(child, Int8Linear) and child.weight.dtype == torch.int8 for child in linear)


def test_logits_stay_close_on_held_out_text(packed_starter: Any, original: Any) -> None:
    ids = Tokenizer(STARTER).encode(TEXT)
    generator = torch.Generator().manual_seed(0)
    prompt, canvas = torch.tensor([ids[:40]]), torch.tensor([ids[40:]])
    noised = torch.rand(canvas.shape, generator=generator) < 0.4
    canvas[noised] = torch.randint(4, 4096, canvas.shape, generator=generator)[noised]
    with torch.no_grad():
        expected, logits = (
            model(input_ids=prompt, decoder_input_ids=canvas).logits[0]
            for model in (original, packed_starter)
        )
    assert torch.cosine_similarity(logits, expected, dim=-1).mean() >= 0.99
    assert not torch.equal(logits, expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own
def test_drafts_can_still_be_read(packed_starter: Any) -> None:
    """Most words are whole tokens of the tokenizer, which noise and torn words are not."""
    tokenizer = Tokenizer(STARTER)
    vocabulary = Checkpoint.open(STARTER).tokenizer()["model"]["vocab"]
    known = {token[1:] for token in vocabulary if re.fullmatch("Ġ[A-Za-z]+", token)}
    prompt = torch.tensor([tokenizer.start_ids + tokenizer.encode(TEXT[:150])])
    torch.manual_seed(0)
    output: Any = packed_starter.generate(
        input_ids=prompt, max_new_tokens=256, max_denoising_steps=24, disable_compile=True
    )
    ids = output.sequences[0, prompt.shape[1] :]
    words = re.findall("[A-Za-z]+", tokenizer._tokenizer.decode(ids, skip_special_tokens=True))
    assert len(set(words)) >= 30
    assert sum(word.lower() in known or word in known for word in words) >= 0.95 * len(words)


# ------------------------------------------------------------------ arithmetic


@pytest.fixture(params=["processor", "device"])
def place(request: pytest.FixtureRequest) -> str:
    if request.param == "device":
        request.getfixturevalue("as_on_a_gpu")
    return str(request.param)


@KINDS
@pytest.mark.parametrize(
    ("count", "hidden", "width", "tokens"),
    [(4, 256, 160, 9), (4, 32, 16, 1), (16, 64, 32, 3), (7, 40, 24, 2), (3, 24, 8, 30), (9, 136, 88, 2)],
)
def test_packed_experts_compute_what_their_unpacked_weights_do(
    place: str, kind: Kind, count: int, hidden: int, width: int, tokens: int
) -> None:
    torch.manual_seed(count)
    experts = experts_of(count, hidden, width)
    given = routed(tokens, hidden, count)
    true = experts(*given)
    module = pack(experts, kind=kind)
    expected = unpack(module, experts)(*given)
    result = module(*given)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)
    close = 0.97 if kind is Nf4Experts else 0.997
    assert torch.cosine_similarity(result.flatten(), true.flatten(), dim=0) > close
    half = module(given[0].bfloat16(), *given[1:])
    assert half.dtype == torch.bfloat16
    assert (half - expected).norm() < 0.02 * expected.norm()


def operations_of(kind: Kind, count: int, tokens: int) -> Operations:
    return operations(pack(experts_of(count, 32, 16), kind=kind), routed(tokens, 32, count))


@KINDS
@pytest.mark.parametrize("tokens", [1, 40])
def test_the_number_of_operations_does_not_grow_with_the_experts(place: str, kind: Kind, tokens: int) -> None:
    few, many = (operations_of(kind, count, tokens) for count in (5, 64))
    assert abs(len(few.names) - len(many.names)) <= 12  # where all are hit there is nothing to gather
    fewer, more = (operations_of(kind, count, 1) for count in (5, 64))
    assert fewer.names == more.names


@KINDS
def test_a_device_is_never_waited_for(place: str, kind: Kind) -> None:
    waits = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "_to_cpu", "item", "equal")
    for tokens in (1, 40):
        names = operations_of(kind, 16, tokens).names
        found = [name for name in names if any(wait in name for wait in waits)]
        assert bool(found) == (place == "processor")


@KINDS
@pytest.mark.parametrize("tokens", [1, 3, 40])
def test_only_experts_that_were_hit_are_unpacked_in_one_call(place: str, kind: Kind, tokens: int) -> None:
    module = pack(experts_of(32, 32, 16), kind=kind)
    given = routed(tokens, 32, 32)
    unpacks = "dequantize_4bit" if kind is Nf4Experts else "aten.copy_"
    calls = [shape for name, shape in operations(module, given).seen if unpacks in name]
    hit = len(given[1].unique()) if place == "processor" else min(32, 2 * tokens)
    assert calls == [(hit, module.row_values)]


@pytest.mark.usefixtures("as_on_a_gpu")
def test_where_nothing_unpacks_into_a_buffer_few_experts_are_unpacked_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = pack(experts_of(20, 32, 16))
    given = routed(40, 32, 20)
    expected = module(*given)
    monkeypatch.setattr("engine.quantization.nf4.UNPACKED_IN_PARTS", ("cpu",))
    calls = [shape for name, shape in operations(module, given).seen if "dequantize_4bit" in name]
    assert calls == [(count, module.row_values) for count in (8, 8, 4)]
    module.scratch.take(20 * module.row_values, given[0]).zero_()
    assert torch.equal(module(*given), expected)


@KINDS
@pytest.mark.usefixtures("as_on_a_gpu")
def test_layers_unpack_into_one_buffer(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch, seen = ScratchBuffer(), set()
    layers = [pack(experts_of(8, 32, 16), scratch, kind) for _ in range(3)]

    def product(experts: Any, *_: Any) -> Tensor:
        seen.add(experts.gate_up_proj.untyped_storage().data_ptr())
        return torch.zeros(1)

    monkeypatch.setattr(PackedExperts, "grouped_product", staticmethod(product))
    for layer in layers:
        layer(*routed(20, 32, 8))
        layer(*routed(1, 32, 8))
    assert len(seen) == 1


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_fp8_keeps_three_bits_of_any_weight(size: float) -> None:
    experts = experts_of(3, 32, 16)
    for place, tensor in enumerate(experts.parameters()):
        tensor.mul_(size * 7**place)
        tensor[1] = 0
    true = [tensor.clone() for tensor in experts.parameters()]
    unpack(pack(experts, kind=Fp8Experts), experts)
    for before, after in zip(true, experts.parameters(), strict=True):
        peaks = before.abs().amax(dim=(1, 2), keepdim=True)
        off = (after - before).abs()
        assert (off <= before.abs() / 16 + peaks / 448 / 1024).all()
        torch.testing.assert_close(after.abs().amax(dim=(1, 2), keepdim=True), peaks, rtol=1e-6, atol=0)


@pytest.mark.parametrize("bias", [False, True])
def test_8_bit_rows_come_close(bias: bool) -> None:
    linear = torch.nn.Linear(64, 48, bias=bias).requires_grad_(False)
    linear.weight[5] = 0
    module = Int8Linear(linear)
    for name, tensor in module.pack(CPU, linear.weight).items():
        getattr(module, name).data = tensor
    rows = torch.randn(7, 64)
    weight = module.weight * module.scale[:, None]
    torch.testing.assert_close(module(rows), torch.nn.functional.linear(rows, weight, linear.bias))
    torch.testing.assert_close(module(rows), linear(rows), rtol=0, atol=0.02)
    assert module(rows.bfloat16()).dtype == torch.bfloat16


# ------------------------------------------------------------------ loading


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


# ------------------------------------------------------------------ the saved copy


@pytest.fixture
def source(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "source"))


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
