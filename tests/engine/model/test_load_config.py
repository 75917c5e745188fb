"""Which device, precision and placement a load of the real model gets, from its configuration alone."""

from __future__ import annotations

import json

import pytest
import torch

from engine.checkpoints import catalogue, memory_estimate
from engine.checkpoints.memory_estimate import RUNTIME_BYTES
from engine.checkpoints.model_shape import parse_shape, read_shape
from engine.checkpoints.precision import Precision
from engine.hardware.device_groups import combined_device
from engine.model.load_config import resolve_load
from engine.protocol.errors import FaultError
from engine.protocol.events import Device
from engine.protocol.requests import LoadRequest
from tests.described import described

GB = 2**30
FOLDER = catalogue.GEMMA_26B.describes
SHAPE = read_shape(FOLDER)
MODEL = described(SHAPE)
CPU = Device(id="cpu", name="A processor", total_bytes=64 * GB, free_bytes=60 * GB)


def machine(*free_bytes: float, fp8: bool = False) -> tuple[Device, ...]:
    """With cards that have so much to give to a model."""
    cards = [
        Device(
            id=f"cuda:{index}",
            name=f"Card {index}",
            total_bytes=96 * GB,
            free_bytes=round(free) + RUNTIME_BYTES,
            uuid=f"GPU-{index}",
            fp8=fp8,
        )
        for index, free in enumerate(free_bytes)
    ]
    return (*cards, *combined_device(cards), CPU)


def chosen(present: tuple[Device, ...], device: str = "auto", precision: str = "auto") -> tuple[str, str]:
    request = LoadRequest(request_id="l", model="m", device=device, precision=precision)
    plan = resolve_load(request, MODEL, present)
    return plan.device.id, plan.precision


def need(precision: Precision, cards: int = 1) -> int:
    return memory_estimate.MemoryEstimate(SHAPE, precision, 8192).needed_bytes(cards)


def test_a_small_card_has_experts_in_main_memory() -> None:
    card = Device(
        id="cuda:0",
        name="A card",
        total_bytes=12 * GB,
        free_bytes=12 * GB,
        uuid="GPU-0",
        main_free_bytes=28 * GB,
    )
    plan = resolve_load(LoadRequest(request_id="l", model="m"), MODEL, (card, CPU))
    assert (plan.device.id, plan.precision) == ("cuda:0", "4-bit")
    streamed = plan.device_map.streamed
    assert len(streamed) > 20
    first = streamed[0]
    assert plan.device_map.device_of(f"model.decoder.layers.{first}.experts.packed").type == "cpu"
    assert plan.device_map.computes_on(f"model.decoder.layers.{first}.experts.packed").type == "cuda"
    assert plan.device_map.device_of(f"model.decoder.layers.{first}.self_attn.q_proj.weight").type == "cuda"
    careful = LoadRequest(request_id="l", model="m", kept_free_bytes=GB)
    less = resolve_load(careful, MODEL, (card, CPU))
    assert len(streamed) < len(less.device_map.streamed) < len(streamed) + 5
    assert [len(each.device_map.streamed) * plan.streamed_bytes for each in (plan, less)] == [
        len(streamed) * each.streamed_bytes for each in (plan, less)
    ]


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_precisions_for_processors_are_refused_on_cards(precision: Precision) -> None:
    with pytest.raises(FaultError, match="for processors"):
        chosen(machine(need("bf16")), precision=precision)
    assert chosen((CPU,), precision=precision) == ("cpu", precision)


@pytest.mark.parametrize(
    ("free_bytes", "expected"),
    [
        ([need("bf16")], ("cuda:0", "bf16")),
        ([need("4-bit")], ("cuda:0", "4-bit")),
        ([need("4-bit") - 1], ("cuda:0", "4-bit-tight")),
        ([need("4-bit-tight"), need("bf16")], ("cuda:0", "4-bit-tight")),
        ([12 * GB, 12 * GB], ("cuda:0+cuda:1", "4-bit")),
        ([10 * GB, 10 * GB], ("cuda:0+cuda:1", "4-bit-tight")),
        ([8 * GB, 6 * GB, 10 * GB], ("cuda:0+cuda:1+cuda:2", "4-bit")),
        ([4 * GB, 4 * GB], ("cuda:0", "4-bit-tight")),
        ([need("4-bit-tight") / 2] * 2, ("cuda:0", "4-bit-tight")),
    ],
)
def test_auto_takes_all_cards_only_where_the_first_is_too_small(
    free_bytes: list[float], expected: tuple[str, str]
) -> None:
    assert chosen(machine(*free_bytes)) == expected


@pytest.mark.parametrize(
    ("free_bytes", "expected"),
    [
        ([need("fp8")], ("cuda:0", "fp8")),
        ([need("fp8") - 1], ("cuda:0", "4-bit")),
        ([12 * GB, 24 * GB], ("cuda:0+cuda:1", "fp8")),
    ],
)
def test_auto_takes_fp8_where_its_kernels_are(free_bytes: list[float], expected: tuple[str, str]) -> None:
    assert chosen(machine(*free_bytes, fp8=True)) == expected
    assert chosen(machine(*free_bytes)) == (expected[0], "4-bit")


def test_auto_leaves_room_for_the_context_that_will_be_used() -> None:
    present = machine(need("4-bit"))
    wanted = {2048: "4-bit", 8192: "4-bit", None: "4-bit", 8193: "4-bit-tight", 32768: "4-bit-tight"}
    for context, precision in wanted.items():
        request = LoadRequest(request_id="l", model="m", context_tokens=context)
        assert resolve_load(request, MODEL, present).precision == precision


def test_as_many_drafts_at_once_as_there_is_room_for() -> None:
    def max_batch(free_bytes: int, variants: int = 1) -> int:
        request = LoadRequest(
            request_id="l", model="m", device="cuda:0", precision="4-bit", variants=variants
        )
        return resolve_load(request, MODEL, machine(free_bytes)).max_batch

    needs = [
        memory_estimate.MemoryEstimate(SHAPE, "4-bit", 8192, count).needed_bytes() for count in range(1, 9)
    ]
    assert needs == sorted(set(needs))
    assert [max_batch(free) for free in needs] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (max_batch(needs[3] - 1), max_batch(80 * GB)) == (3, 8)
    assert max_batch(needs[0], variants=4) == 4  # asked for, whatever there is


def test_a_precision_that_was_asked_for_decides() -> None:
    present = machine(30 * GB, 30 * GB)
    assert chosen(present) == ("cuda:0", "4-bit")
    assert chosen(present, precision="bf16") == ("cuda:0+cuda:1", "bf16")
    assert chosen(machine(60 * GB, 60 * GB), precision="bf16") == ("cuda:0", "bf16")


def test_a_packed_copy_can_only_be_what_it_is() -> None:
    config = json.loads((FOLDER / "config.json").read_bytes())
    config["quantization_config"] = {"quant_method": "mezzotint", "precision": "4-bit"}
    packed = described(parse_shape(json.dumps(config).encode(), FOLDER / "config.json"))
    request = LoadRequest(request_id="l", model="m")
    plan = resolve_load(request, packed, machine(10 * GB, 10 * GB))
    assert (plan.device.id, plan.precision) == ("cuda:0", "4-bit")
    assert resolve_load(request, packed, machine(60 * GB)).precision == "4-bit"


def test_a_device_that_was_asked_for_is_taken_whether_it_fits_or_not() -> None:
    present = machine(12 * GB, 12 * GB)
    assert chosen(present, "GPU-1") == ("cuda:1", "4-bit-tight")
    assert chosen(present, "GPU-0+GPU-1", "bf16") == ("cuda:0+cuda:1", "bf16")
    assert chosen(present, "cpu", "4-bit") == ("cpu", "4-bit")


def test_layers_are_shared_out_by_what_each_card_has() -> None:
    request = LoadRequest(request_id="l", model="m", device="auto")
    placement = resolve_load(request, MODEL, machine(16 * GB, 10 * GB)).device_map
    places = [placement.device_of(f"model.decoder.layers.{layer}") for layer in range(len(SHAPE.layers))]
    assert placement.first == torch.device("cuda:0")
    first = places.count(torch.device("cuda:0"))
    assert places == [torch.device("cuda:0")] * first + [torch.device("cuda:1")] * (30 - first)
    assert 15 < first < 25


def test_the_card_with_the_most_room_has_what_is_no_layer() -> None:
    """Cards are listed by their size, which another program may have taken."""
    request = LoadRequest(request_id="l", model="m", device="auto")
    plan = resolve_load(request, MODEL, machine(5 * GB, 17 * GB))
    placement = plan.device_map
    assert (plan.device.id, placement.first) == ("cuda:0+cuda:1", torch.device("cuda:1"))
    assert placement.device_of("model.decoder.layers.29") == torch.device("cuda:0")


def test_a_card_alone_has_all_layers() -> None:
    request = LoadRequest(request_id="l", model="m", device="cpu")
    placement = resolve_load(request, MODEL, machine()).device_map
    assert placement.device_of("model.decoder.layers.29") == torch.device("cpu")


def test_a_precision_that_there_is_not_is_named() -> None:
    with pytest.raises(FaultError, match="“8-bit”") as caught:
        chosen(machine(), precision="8-bit")
    assert "4-bit-tight" in caught.value.fault.remedy
