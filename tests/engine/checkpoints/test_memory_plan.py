"""What a model needs, against what loading and drafting really take."""

from __future__ import annotations

import json
import threading
import weakref
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from engine.checkpoints import catalogue, memory_estimate, memory_plan, model_shape
from engine.checkpoints.memory_estimate import CONTEXTS, RUNTIME_BYTES, MemoryEstimate
from engine.checkpoints.memory_plan import MemoryPlan
from engine.checkpoints.precision import (
    LOADABLE_PRECISIONS,
    PACKED_PRECISIONS,
    Precision,
    suitable_precisions,
)
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.loading import TextModel
from engine.protocol.events import Device, Finished, Prefilled, Ready
from engine.protocol.requests import LoadRequest
from engine.quantization.hf_quantizer import replace_with_packed
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import plan_for
from tests.fakes import draft_request

GB = 10**9


@pytest.fixture(scope="module")
def large() -> model_shape.ModelShape:
    return model_shape.read_shape(catalogue.GEMMA_26B.describes)


@pytest.mark.parametrize("precision", get_args(Precision))
def test_each_draft_of_a_place_has_logits_and_work_of_its_own(
    large: model_shape.ModelShape, precision: Precision
) -> None:
    one, two, three = (MemoryEstimate(large, precision, variants=count) for count in (1, 2, 3))
    twice = replace(three, shape=replace(large, vocab_size=2 * large.vocab_size))
    assert twice.step_bytes - three.step_bytes >= 3 * 4 * large.canvas_tokens * large.vocab_size
    work = two.layer_step_bytes - one.layer_step_bytes
    assert three.layer_step_bytes - two.layer_step_bytes == work > 0


def held_by(model: DiffusionGemma) -> int:
    """All parameters and buffers, those in two places once."""
    tensors = [*model.text_model.parameters(), *model.text_model.buffers()]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())


@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize("which", ["tiny", "starter"])
def test_the_weights_are_as_large_as_planned(which: str, precision: Precision, tiny_folder: Path) -> None:
    folder = tiny_folder if which == "tiny" else catalogue.STARTER.folder
    model = DiffusionGemma(plan_for(folder, precision))
    padded = 0.06 if (which, precision) == ("tiny", "int4") else 0.05  # rows of 16 are stored as 32
    assert MemoryEstimate(model_shape.read_shape(folder), precision).weights_bytes == pytest.approx(
        held_by(model), rel=padded
    )


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors but the given ones, as they come and go."""

    def __init__(self, but: list[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in but}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._known:
            self._known.add(storage._cdata)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def _forget(self, storage: int, size: int) -> None:
        self._known.discard(storage)
        self.now -= size


@pytest.fixture(scope="module")
def wide_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with heads of 512 in its full layer, which share their keys as the real model's do."""
    folder = tmp_path_factory.mktemp("wide")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (folder / name).write_bytes((tiny_folder / name).read_bytes())
    written = json.loads((tiny_folder / "config.json").read_text())
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8}
    shared = {"per_layer_config": {"1": {"num_key_value_heads": 2, "head_dim": 512}}}
    written["text_config"] |= heads | shared
    (folder / "config.json").write_text(json.dumps(written))
    torch.manual_seed(0)
    model: Any = DiffusionGemmaForBlockDiffusion(DiffusionGemmaConfig.from_pretrained(folder))
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("which", "context", "variants", "canvases", "precision", "bf16"),
    [
        ("tiny", 900, 1, 4, "fp32", True),
        ("tiny", 900, 2, 3, "bf16", True),
        ("tiny", 900, 3, 1, "bf16", True),
        ("wide", 900, 1, 4, "bf16", True),
        ("wide", 900, 1, 4, "bf16", False),
        ("wide", 900, 3, 2, "fp32", True),
        ("starter", 1500, 1, 4, "fp32", True),
        ("starter", 1500, 1, 4, "bf16", True),
        ("starter", 1500, 1, 4, "bf16", False),
        ("starter", 1500, 1, 4, "4-bit", False),
        ("starter", 1500, 1, 4, "4-bit-tight", True),
        ("starter", 1500, 1, 4, "int4", False),
        ("starter", 1500, 1, 4, "int8", False),
    ],
)
def test_a_draft_takes_what_was_planned(
    which: str,
    context: int,
    variants: int,
    canvases: int,
    precision: Precision,
    bf16: bool,
    tiny_folder: Path,
    wide_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEZZOTINT_BF16", "1" if bf16 else "0")
    folder = {"tiny": tiny_folder, "wide": wide_folder, "starter": catalogue.STARTER.folder}[which]
    session = LocalEngine()
    load = LoadRequest(request_id="l", model=str(folder), device="cpu", precision=precision)
    *_, ready = session.load(load, threading.Event())
    assert isinstance(ready, Ready), ready
    model = session.model
    request = draft_request(
        "d",
        "It rained all day. " * context,
        context_tokens=context,
        max_steps=2,
        variants=variants,
        canvases=canvases,
        min_tokens=canvases * model.canvas_tokens,
    )
    with LiveBytes([*model.text_model.parameters(), *model.text_model.buffers()]) as live:
        events = list(session.draft(request, threading.Event()))
    assert isinstance(events[-1], Finished), events[-1]
    read = next(event.prompt_tokens for event in events if isinstance(event, Prefilled))
    shape = model_shape.read_shape(folder)
    here = Device(id="cpu", name="", total_bytes=0, free_bytes=0, bf16=bf16)
    estimate = MemoryEstimate(shape, model.precision, read, variants, canvases, device=here)
    assert estimate.needed_bytes() == pytest.approx(held_by(model) + live.peak, rel=0.05)


def test_each_card_has_room_for_the_copies_of_shared_keys_and_values(large: model_shape.ModelShape) -> None:
    """Those of the last canvas, 16 heads of 512 in bf16; more than anything else that comes and goes."""
    copies = 2 * 16 * 512 * (32768 + 4 * 256) * 2
    estimate = MemoryEstimate(large, "bf16", 32768)
    assert estimate.layer_step_bytes == copies
    assert estimate.step_bytes == copies + 4 * 256 * large.vocab_size


@pytest.mark.parametrize(
    ("precision", "gigabytes"), [("bf16", 50.5), ("fp8", 27.66), ("4-bit", 16.6), ("4-bit-tight", 14.95)]
)
def test_the_real_model_is_as_large_as_its_modules(
    precision: Precision, gigabytes: float, large: model_shape.ModelShape
) -> None:
    """The modules that it is loaded into, without memory."""
    with torch.device("meta"):
        model: Any = TextModel(DiffusionGemmaConfig.from_pretrained(catalogue.GEMMA_26B.describes))
        model.to(torch.bfloat16)
        if precision in PACKED_PRECISIONS:
            replace_with_packed(model, precision)
    model.tie_weights()
    modules = sum(parameter.nbytes for parameter in model.parameters())
    assert MemoryEstimate(large, precision).weights_bytes == pytest.approx(modules, rel=0.001)
    assert modules == pytest.approx(gigabytes * GB, rel=0.003)


@pytest.mark.parametrize("memory", [24 * GB, int(24 * 2**30 * 0.98)])
def test_a_card_of_24_gb_takes_the_real_model_in_4_bits_and_not_in_bf16(
    memory: int, large: model_shape.ModelShape
) -> None:
    precisions = suitable_precisions(catalogue.GEMMA_26B.precisions, card(GB, fp8=True))
    table = memory_plan.memory_plans(large, precisions, memory_estimate.usable_on_card(memory))
    assert [(plan.precision, plan.context_tokens) for plan in table] == [
        (precision, context) for precision in ("bf16", "fp8", "4-bit", "4-bit-tight") for context in CONTEXTS
    ]
    for plan in table:
        assert plan.fits is plan.precision.startswith("4-bit")
        assert plan.total_bytes > plan.weights_bytes
    needs = [plan.total_bytes for plan in table if plan.precision == "4-bit"]
    assert needs == sorted(set(needs))


def plans(shape: model_shape.ModelShape, free: int, total: int = 0) -> dict[tuple[str, int], MemoryPlan]:
    table = memory_plan.memory_plans(shape, ("bf16", "4-bit", "4-bit-tight"), free, total)
    return {(plan.precision, plan.context_tokens): plan for plan in table}


def ways(plan: MemoryPlan) -> tuple[bool, bool, Precision | None, Precision | None]:
    smaller = plan.fitting_precision_with_smaller_context
    return plan.fits_once_emptied, plan.smaller_context_fits, plan.fitting_precision, smaller


def test_a_plan_knows_what_helps_and_only_that(large: model_shape.ModelShape) -> None:
    at_8192, at_32768 = (MemoryEstimate(large, "4-bit", context).needed_bytes() for context in (8192, 32768))
    table = plans(large, at_8192, total=at_32768)
    assert table["4-bit", 2048].fits
    assert (table["4-bit", 8192].fits, table["4-bit", 8192].spare_bytes) == (True, 0)
    beyond = table["4-bit", 32768]
    assert (beyond.fits, beyond.spare_bytes) == (False, at_8192 - at_32768)
    assert ways(beyond) == (True, True, None, "4-bit")
    tight = plans(large, at_8192 - 2**28, total=at_8192)["4-bit", 8192]
    assert tight.spare_bytes == -(2**28)
    assert ways(tight) == (True, True, "4-bit-tight", "4-bit")
    assert ways(table["bf16", 2048]) == (False, False, "4-bit", "4-bit")
    assert ways(plans(large, 8 * GB)["4-bit-tight", 2048]) == (False, False, None, None)
    assert ways(plans(large, at_8192)["bf16", 32768]) == (False, False, None, "4-bit")
    unknown = memory_plan.memory_plans(large, ("bf16",), 0)
    assert all(plan.fits and not plan.free_bytes for plan in unknown)


def test_a_context_beyond_the_models_own_limit_is_planned_at_the_limit() -> None:
    shape = model_shape.read_shape(catalogue.STARTER.describes)
    below, at, beyond = memory_plan.memory_plans(shape, ("fp32",), GB)
    assert {plan.limit_tokens for plan in (below, at, beyond)} == {3072}
    assert (at.context_tokens, beyond.context_tokens) == (8192, 32768)
    assert below.total_bytes < at.total_bytes == beyond.total_bytes


def test_a_card_keeps_some_memory_for_its_driver() -> None:
    card = Device(id="cuda:0", name="", total_bytes=24 * GB, free_bytes=20 * GB)
    assert memory_estimate.usable_bytes(card) == 20 * GB - memory_estimate.RUNTIME_BYTES
    unseen = Device(id="GPU-1", name="", total_bytes=24 * GB, free_bytes=20 * GB, uuid="GPU-1")
    assert memory_estimate.usable_bytes(unseen) == memory_estimate.usable_bytes(card)
    processor = Device(id="cpu", name="", total_bytes=9 * GB, free_bytes=0)
    assert memory_estimate.usable_bytes(processor) == 9 * GB - memory_estimate.PROCESS_BYTES
    assert memory_estimate.usable_bytes(Device(id="mps", name="", total_bytes=0, free_bytes=0)) == 0


def card(free: int, cards: int = 1, fp8: bool = False) -> Device:
    ids = "+".join(f"cuda:{index}" for index in range(cards))
    room = free + cards * memory_estimate.RUNTIME_BYTES
    return Device(id=ids, name="", total_bytes=free, free_bytes=room, fp8=fp8)


def test_a_precision_suits_where_it_is_computed_well() -> None:
    cpu = Device(id="cpu", name="", total_bytes=GB, free_bytes=GB)
    every = ("fp32", *LOADABLE_PRECISIONS)
    assert suitable_precisions(every, cpu) == ["fp32", "bf16", "int8", "int4"]
    assert suitable_precisions(every, card(GB)) == ["bf16", "4-bit", "4-bit-tight"]
    assert suitable_precisions(every, card(GB, fp8=True)) == ["bf16", "fp8", "4-bit", "4-bit-tight"]
    assert suitable_precisions(every, None) == ["bf16", "4-bit", "4-bit-tight"]


@pytest.mark.parametrize(
    ("card_gb", "main_gb", "precision", "layers"),
    [
        (24, 64, "4-bit", range(0)),
        (16, 32, "4-bit", range(1, 20)),
        (12, 32, "4-bit", range(20, 31)),
        (8, 32, "4-bit-tight", range(20, 31)),
        (8, 8, "4-bit-tight", range(0)),
        (4, 64, "4-bit-tight", range(0)),
        (12, 32, "fp8", range(0)),
    ],
)
def test_as_few_experts_as_a_card_has_no_room_for_lie_in_main_memory(
    large: model_shape.ModelShape, card_gb: int, main_gb: int, precision: Precision, layers: range
) -> None:
    whole, room = MemoryEstimate(large, precision, 2048), card_gb * GB
    streamed = memory_estimate.streaming(whole, room, main_gb * GB)
    if not layers:
        assert streamed is None
        return
    assert streamed
    assert streamed.streamed in layers
    assert streamed.needed_bytes() <= room - memory_estimate.SPARE_BYTES
    assert streamed.streamed_bytes <= main_gb * GB - memory_estimate.PROCESS_BYTES
    fewer = replace(streamed, streamed=streamed.streamed - 1)
    assert fewer.needed_bytes() > room - memory_estimate.SPARE_BYTES
    assert streamed.weights_bytes == whole.weights_bytes
    assert len(streamed.streamed_layers) == streamed.streamed
    gaps = [after - before for before, after in pairwise(sorted(streamed.streamed_layers))]
    assert max(gaps) - min(gaps) <= 1


def test_what_is_to_be_kept_free_of_a_card_is_as_far_as_it_can_be(large: model_shape.ModelShape) -> None:
    whole, main = MemoryEstimate(large, "4-bit", 2048), 64 * GB

    def streamed(room: int, kept_free: int, main_free: int = main) -> MemoryEstimate | None:
        return memory_estimate.streaming(whole, room, main_free, kept_free)

    before, after = streamed(12 * GB, 0), streamed(12 * GB, 2 * GB)
    assert before
    assert after
    assert before.needed_bytes() - after.needed_bytes() > GB
    assert after.needed_bytes() <= 12 * GB - 2 * GB - memory_estimate.SPARE_BYTES
    fits = whole.needed_bytes()
    assert streamed(fits, 0) is None
    kept = streamed(fits, GB)
    assert kept
    assert kept.needed_bytes() <= fits - GB
    assert streamed(fits + GB, GB) is None
    least = streamed(12 * GB, 11 * GB)
    assert least
    assert least.streamed == len(large.layers)
    assert streamed(fits, GB, main_free=0) is None  # as before: all of it on the card


def test_a_card_takes_a_model_whole_before_it_streams_one(large: model_shape.ModelShape) -> None:
    tight = MemoryEstimate(large, "4-bit-tight", 2048).needed_bytes()
    room = tight + memory_estimate.RUNTIME_BYTES
    small = Device(
        id="cuda:0", name="", total_bytes=room, free_bytes=room, uuid="GPU-1", main_free_bytes=64 * GB
    )
    needed = memory_estimate.load_bytes(large, small, 2048)
    assert memory_estimate.best_precision(small, needed) == "4-bit-tight"
    smaller = msgspec.structs.replace(small, free_bytes=room - 1)
    needed = memory_estimate.load_bytes(large, smaller, 2048)
    assert memory_estimate.best_precision(smaller, needed) == "4-bit"
    assert needed["4-bit"] < MemoryEstimate(large, "4-bit", 2048).needed_bytes()
    assert not memory_estimate.has_room(large, "auto", smaller, 2048)  # all of it


def test_a_load_needs_what_is_planned_at_the_usual_context(large: model_shape.ModelShape) -> None:
    for cards in (1, 2):
        assert memory_estimate.load_bytes(large, card(GB, cards), None) == {
            precision: MemoryEstimate(large, precision, memory_estimate.DEFAULT_CONTEXT_TOKENS).needed_bytes(
                cards
            )
            for precision in ("bf16", "4-bit", "4-bit-tight")
        }
    assert list(memory_estimate.load_bytes(large, card(GB, fp8=True), 2048)) == [
        "bf16",
        "fp8",
        "4-bit",
        "4-bit-tight",
    ]


def test_contexts_are_planned_at_the_next_size_that_the_model_can_read(large: model_shape.ModelShape) -> None:
    wanted = (-1, 1, 2048, 2049, 8192, 9000, 32768, 10**9, None)
    sizes = [2048, 2048, 2048, 8192, 8192, 32768, 32768, 32768, 8192]
    assert [memory_estimate.planned_context(large, context) for context in wanted] == sizes
    starter = model_shape.read_shape(catalogue.STARTER.describes)
    assert {memory_estimate.planned_context(starter, context) for context in wanted} == {2048}


def test_there_is_room_for_what_is_asked_or_else_for_the_smallest(large: model_shape.ModelShape) -> None:
    tight = memory_estimate.load_bytes(large, card(GB), 32768)["4-bit-tight"]
    assert memory_estimate.has_room(large, "auto", card(tight), 32768)
    assert not memory_estimate.has_room(large, "auto", card(tight - 1), 32768)
    assert memory_estimate.has_room(large, "4-bit-tight", card(tight), 32768)
    assert not memory_estimate.has_room(large, "4-bit", card(tight), 32768)
    assert not memory_estimate.has_room(large, "fp32", card(80 * GB), 32768)
    assert not memory_estimate.has_room(large, "auto", card(tight), 32768, ("4-bit",))


@pytest.mark.parametrize(
    ("bf16", "weights", "precision"),
    [(False, 10**6, "fp32"), (True, 10**6, "bf16"), (False, 3 * 10**9, "bf16")],
)
def test_a_processor_without_bf16_computes_in_fp32(bf16: bool, weights: int, precision: str) -> None:
    processor = Device(id="cpu", name="", total_bytes=16 * GB, free_bytes=8 * GB, bf16=bf16)
    assert memory_estimate.best_precision(processor, {"bf16": weights}) == precision


NEEDED: dict[Precision, int] = {"bf16": 52 * GB, "fp8": 28 * GB, "4-bit": 17 * GB, "4-bit-tight": 15 * GB}


@pytest.mark.parametrize(
    ("free", "precision"),
    [
        (52 * GB, "bf16"),
        (51 * GB, "fp8"),
        (27 * GB, "4-bit"),
        (17 * GB, "4-bit"),
        (16 * GB, "4-bit-tight"),
        (8 * GB, "4-bit-tight"),
    ],
)
def test_a_card_gets_the_best_precision_that_fits(free: int, precision: str) -> None:
    card = Device(id="cuda:0", name="", total_bytes=80 * GB, free_bytes=free + RUNTIME_BYTES)
    assert memory_estimate.best_precision(card, NEEDED) == precision


def test_where_the_memory_is_not_told_bf16_is_tried() -> None:
    card = Device(id="mps", name="", total_bytes=0, free_bytes=0)
    assert memory_estimate.best_precision(card, NEEDED) == "bf16"
