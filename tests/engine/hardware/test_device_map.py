"""A model over two cards. Neither is here: torch's fake tensors know where each one would lie, and refuse to
mix those of different devices.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError, FakeTensorMode
from transformers.integrations import accelerate

from engine.checkpoints import catalogue, memory_estimate, model_shape
from engine.checkpoints.memory_estimate import MemoryEstimate
from engine.checkpoints.precision import Precision
from engine.hardware.device_map import CPU_ONLY, DeviceMap
from engine.model.canvas_cache import CanvasCache
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.fast_modules import replace_modules
from engine.model.kv_cache import fork_cache
from engine.model.loading import TextModel
from engine.quantization import packed_experts
from engine.quantization.hf_quantizer import replace_with_packed
from tests.engine.conftest import plan_for
from tests.engine.quantization.packed import load

GB = 10**9
# CUDA is not in every build of torch; the processor has no number 1 either, and any build has its kernels.
ONE, TWO = torch.device("cpu"), torch.device("cpu", 1)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fake ones, to which parameters can be moved."""

    def apply(module: nn.Module, change: Any, recurse: bool) -> None:
        assert not recurse
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    moved = change(tensor)
                    held[name] = (
                        nn.Parameter(moved, requires_grad=False) if held is module._parameters else moved
                    )

    def tensor(data: Any, device: torch.device | None = None, **options: Any) -> Tensor:
        made: Tensor = real_tensor(data, **options)  # forgets a processor's number
        return made if device is None else torch.zeros(made.shape, dtype=made.dtype, device=device)

    real_tensor = torch.tensor
    monkeypatch.setattr(torch, "tensor", tensor)
    monkeypatch.setattr(nn.Module, "_apply", apply)
    pytest.importorskip("bitsandbytes")  # brings its kernels into torch.ops
    # As on cards: nothing is counted on the host.
    monkeypatch.setattr(packed_experts, "on_cpu", lambda _tensor: False)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        yield


def placed(model: DiffusionGemma, placement: DeviceMap, precision: Precision) -> Any:
    """The same configuration, on fake cards."""
    given: Any = object.__new__(DiffusionGemma)
    given.__dict__.update(model.__dict__)
    given.device, given.dtype = placement.first, torch.bfloat16
    library: Any = TextModel
    config = copy.deepcopy(model.text_model.config)  # a processor's attention is its own
    given.text_model = library._from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    if precision != "bf16":
        replace_with_packed(given.text_model, precision)
    placement.move(given.text_model)
    replace_modules(given.text_model, torch.device("cuda"))
    return given


def draft(model: Any, ids: list[int]) -> CanvasCache:
    """What a draft asks of a model: prompt, two canvases and two steps, one of which gives up a canvas."""
    cache = model.new_cache()
    model.prefill(cache, ids)
    canvases: CanvasCache = model.open_canvases([fork_cache(cache), fork_cache(cache)])
    size = model.canvas_tokens
    canvas = torch.zeros(2, size, dtype=torch.long, device=model.device)
    rows = torch.arange(size, device=model.device)
    logits = model.denoise(canvases, canvas, None)
    assert logits.device == model.device
    soft = model.soft_embedding(canvas[0], rows[:3], logits.softmax(-1), rows[:3])
    canvases.narrow(torch.zeros(1, dtype=torch.long, device=model.device))
    model.denoise(canvases, canvas[:1], soft)
    return canvases


@pytest.mark.usefixtures("cards")
@pytest.mark.parametrize("precision", ["bf16", "fp8", "4-bit", "4-bit-tight"])
@pytest.mark.parametrize(("first", "second"), [(ONE, TWO), (TWO, ONE)])
def test_a_draft_finds_all_its_tensors_where_they_have_to_be(
    starter: DiffusionGemma, precision: Precision, first: torch.device, second: torch.device
) -> None:
    model = placed(starter, DeviceMap([first, second], [2, 4]), precision)
    canvases = draft(model, list(range(10, 40)))
    layers = model.text_model.model.decoder.layers
    assert [next(layer.parameters()).device for layer in layers] == [first] * 2 + [second] * 4
    assert [keys.device for keys in canvases._keys] == [first] * 2 + [second] * 4
    assert model.text_model.lm_head.weight.device == first


@pytest.mark.usefixtures("cards")
def test_without_bringing_them_over_it_would_fail(
    starter: DiffusionGemma, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.Module, "register_forward_pre_hook", lambda *_, **__: None)
    model = placed(starter, DeviceMap([ONE, TWO], [2, 4]), "bf16")
    with pytest.raises(FakeTensorDeviceMismatchError):
        draft(model, list(range(10, 40)))


def test_bringing_over_changes_no_value(tiny_folder: Any, tiny: DiffusionGemma) -> None:
    both = DiffusionGemma(plan_for(tiny_folder, device_map=DeviceMap([torch.device("cpu")] * 2, [1, 1])))
    ids = list(range(5, 25))
    results = []
    for model in (tiny, both):
        cache = model.new_cache()
        hidden = model.prefill(cache, ids)
        canvas = torch.arange(model.canvas_tokens)[None]
        results.append((hidden, model.denoise(model.open_canvases([cache]), canvas, None).clone()))
    (hidden, logits), (other_hidden, other_logits) = results
    assert torch.equal(hidden, other_hidden)
    assert torch.equal(logits, other_logits)


def test_each_weight_is_read_to_its_device() -> None:
    """The second one holds nothing: what is read there cannot have been anywhere else before."""
    placement = DeviceMap([torch.device("cpu"), torch.device("meta")], [2, 4])
    model = load(catalogue.STARTER.folder, placement=placement)
    for stack in (model.model.encoder.language_model, model.model.decoder):
        parts = (stack.embed_tokens, stack.norm, *stack.layers)
        places = [{tensor.device.type for tensor in part.parameters()} for part in parts]
        assert places == [{"cpu"}] * 4 + [{"meta"}] * 4


def test_the_librarys_map_of_many_layers_is_true() -> None:
    placement = DeviceMap([ONE, TWO], [3, 27])
    stack = nn.Module()
    stack.layers = nn.ModuleList([nn.Linear(1, 1) for _ in range(30)])
    stack.norm = nn.LayerNorm(1)
    model = nn.ModuleDict({"model": nn.ModuleDict({"decoder": stack})})
    paths = list(model.state_dict())
    device_map = accelerate.expand_device_map(placement.by_path(model), paths)
    assert device_map == {path: placement.device_of(path) for path in paths}


def test_giving_up_a_canvas_indexes_each_layer_where_it_is(tiny: DiffusionGemma) -> None:
    """Fake tensors let any processor's index pass; CUDA does not."""
    cache = tiny.new_cache()
    tiny.prefill(cache, [5, 6])
    canvases = tiny.open_canvases([cache, cache])
    seen = []

    class Keys:
        device = torch.device("meta")

        def __getitem__(self, indices: Tensor) -> None:
            seen.append(indices.device.type)

    keys: Any = Keys()
    canvases._keys[1] = canvases._values[1] = keys
    canvases.narrow(torch.tensor([0]))
    assert seen == ["meta", "meta"]


def test_each_device_has_scratch_of_its_own() -> None:
    scratch, here, there = packed_experts.ScratchBuffer(), torch.zeros(1), torch.zeros(1, device="meta")
    first = scratch.take(8, here)
    assert scratch.take(8, there).is_meta
    assert scratch.take(4, here).data_ptr() == first.data_ptr()
    assert len(scratch.take(16, here)) == 16


def test_a_path_tells_the_device() -> None:
    placement = DeviceMap([ONE, TWO], [2, 1])
    paths = {
        "model.decoder.layers.0.experts.packed": ONE,
        "model.decoder.layers.1": ONE,
        "model.encoder.language_model.layers.2.mlp": TWO,
        "model.decoder.embed_tokens.weight": ONE,
        "model.decoder.norm": ONE,
        "": ONE,
    }
    assert {path: placement.device_of(path) for path in paths} == paths
    assert CPU_ONLY.device_of("model.decoder.layers.7").type == "cpu"


# ------------------------------------------------------------------ how many layers where


@pytest.mark.parametrize("precision", ["bf16", "fp8", "4-bit", "4-bit-tight"])
@pytest.mark.parametrize("split", [(0.5, 0.5), (0.7, 0.3), (0.4, 0.3, 0.3)])
@pytest.mark.parametrize("context", memory_estimate.CONTEXTS)
def test_what_fits_together_fits_each(precision: Precision, split: tuple[float, ...], context: int) -> None:
    shape = model_shape.read_shape(catalogue.GEMMA_26B.describes)
    estimate = MemoryEstimate(shape, precision, context)
    for more in (0, 5 * GB):
        needed = estimate.needed_bytes(len(split)) + more
        usable = [int(share * needed) + 1 for share in split]
        layers = estimate.share_layers(usable)
        assert sum(layers) == len(shape.layers)
        assert all(layers)
        lasting = estimate.layers_bytes
        begin = 0
        for number, (count, free) in enumerate(zip(layers, usable, strict=True)):
            held = sum(lasting[begin : begin + count])
            if number == 0:
                held += shape.ends.bytes_in(precision) + estimate.step_bytes
            else:
                held += estimate.layer_step_bytes
            assert held <= free - more // len(split) // 2
            begin += count


def test_two_cards_need_a_little_more_than_one() -> None:
    shape = model_shape.read_shape(catalogue.GEMMA_26B.describes)
    one, two = (MemoryEstimate(shape, "4-bit", 8192).needed_bytes(count) for count in (1, 2))
    assert one < two < 1.15 * one


def test_what_fits_nowhere_goes_to_the_last() -> None:
    shape = model_shape.read_shape(catalogue.GEMMA_26B.describes)
    first, last = MemoryEstimate(shape, "bf16", 8192).share_layers([8 * GB, 8 * GB])
    assert 0 < first < last
    assert first + last == len(shape.layers)
