"""The app says of a load what the engine makes of it."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from app.models.fit_verdict import device_taken, judge
from engine.checkpoints.catalogue import GEMMA_26B, KNOWN_MODELS, KnownModel
from engine.checkpoints.model_shape import read_shape
from engine.hardware.device_groups import combined_device
from engine.model.load_config import resolve_load
from engine.protocol.events import Device
from engine.protocol.requests import LoadRequest
from tests.described import described

GIB = 2**30
SHAPE = read_shape(GEMMA_26B.describes)
CPU = Device(id="cpu", name="Xeon", total_bytes=32 * GIB, free_bytes=28 * GIB)


def cards(*sizes: int) -> tuple[Device, ...]:
    found = [
        Device(id=f"cuda:{n}", name="", total_bytes=size * GIB, free_bytes=size * GIB, uuid=f"GPU-{n}")
        for n, size in enumerate(sizes)
    ]
    return (*found, *combined_device(found), CPU)


@pytest.mark.parametrize(
    "sizes", [(24, 24), (12, 12), (8, 8), (16, 12), (32, 32), (80, 8), (24,), (12, 8, 8)]
)
@pytest.mark.parametrize("precision", ["auto", "bf16", "fp8", "4-bit", "4-bit-tight", "fp32"])
@pytest.mark.parametrize("context", [2048, 8192, 32768])
@pytest.mark.parametrize("variants", [1, 4])
def test_auto_takes_the_device_that_the_engine_takes(
    sizes: tuple[int, ...], precision: str, context: int, variants: int
) -> None:
    present = cards(*sizes)
    request = LoadRequest(
        request_id="", model="", precision=precision, context_tokens=context, variants=variants
    )
    device = resolve_load(request, described(SHAPE), present).device
    assert device_taken("auto", present, SHAPE, precision, context, variants) == device


@pytest.mark.parametrize("context", [256, 2048, 5000, 8192, 32768])
@pytest.mark.parametrize("fp8", [False, True])
@pytest.mark.parametrize("variants", [1, 4])
def test_automatic_is_judged_as_the_precision_that_a_load_takes(
    context: int, fp8: bool, variants: int
) -> None:
    found = set()
    for tenths in range(140, 640, 3):
        free = tenths * GIB // 10
        card = Device(id="cuda:0", name="", total_bytes=80 * GIB, free_bytes=free, fp8=fp8)
        request = LoadRequest(request_id="", model="", context_tokens=context, variants=variants)
        precision = resolve_load(request, described(SHAPE), (card, CPU)).precision
        plan = judge(SHAPE, GEMMA_26B.precisions, "auto", context, card, variants).plan
        assert plan.precision == precision
        found.add(precision)
    assert found == {"bf16", "4-bit", "4-bit-tight"} | ({"fp8"} if fp8 else set())


@pytest.mark.parametrize("kept_free_gib", [0, 1, 3])
@pytest.mark.parametrize("gib", [8, 12, 16, 20])
def test_what_is_streamed_is_judged_as_a_load_takes_it(gib: int, kept_free_gib: int) -> None:
    main_free, kept_free = 28 * GIB, kept_free_gib * GIB
    card = Device(
        id="cuda:0", name="", total_bytes=gib * GIB, free_bytes=gib * GIB, main_free_bytes=main_free
    )
    request = LoadRequest(request_id="", model="", context_tokens=2048, kept_free_bytes=kept_free)
    load = resolve_load(request, described(SHAPE), (card, CPU))
    kept = msgspec.structs.replace(card, kept_free_bytes=kept_free)
    plan = judge(SHAPE, GEMMA_26B.precisions, "auto", 2048, kept).plan
    assert (plan.precision, plan.streamed_bytes) == (load.precision, load.streamed_bytes)
    assert plan.fits


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("known", KNOWN_MODELS)
def test_automatic_is_judged_on_a_processor_as_a_load_takes_it(known: KnownModel, bf16: bool) -> None:
    shape = read_shape(known.describes)
    for free in (2, 16, 24, 60, 100, 200, 400):
        processor = Device(id="cpu", name="", total_bytes=2**40, free_bytes=free * GIB, bf16=bf16)
        request = LoadRequest(request_id="", model="", context_tokens=2048)
        precision = resolve_load(request, described(shape), (processor,)).precision
        assert judge(shape, known.precisions, "auto", 2048, processor).plan.precision == precision


def test_several_drafts_at_once_need_their_logits_and_canvas_caches() -> None:
    card = Device(id="cuda:0", name="", total_bytes=80 * GIB, free_bytes=70 * GIB)
    needs = [
        judge(SHAPE, ("bf16",), "auto", 2048, card, variants).plan.total_bytes for variants in range(1, 5)
    ]
    logits = 4 * SHAPE.canvas_tokens * SHAPE.vocab_size
    assert all(more - fewer > logits for fewer, more in pairwise(needs))


def test_a_packed_copy_is_judged_as_what_it_is() -> None:
    card = Device(id="cuda:0", name="", total_bytes=24 * GIB, free_bytes=23 * GIB)
    assert judge(SHAPE, ("fp8",), "auto", 2048, card).plan.precision == "fp8"


def words(precision: str, free_gib: float, *, context: int = 2048) -> str:
    """Of the real model on a card of 48 GiB."""
    free, total = round(free_gib * GIB), round((free_gib and 48) * GIB)
    card = Device(id="cuda:0", name="RTX A6000", total_bytes=total, free_bytes=free, fp8=True)
    return judge(SHAPE, GEMMA_26B.precisions, precision, context, card).words


def test_a_verdict_says_what_to_do_and_only_what_helps() -> None:
    assert words("4-bit", 40) == "Fits with 21.1 GB to spare."
    assert words("auto", 22).startswith("4-bit fits with ")
    more = "more than your RTX A6000 has free"
    assert words("bf16", 40) == f"Needs 9.1 GB {more}: choose 8-bit."
    assert words("4-bit", 18.5) == f"Needs 411 MB {more}: close other programs, or choose tight 4-bit."
    assert words("4-bit", 20, context=32768).endswith(": close other programs, or choose a smaller context.")
    assert words("bf16", 18.5, context=32768).endswith(": choose tight 4-bit and a smaller context.")
    assert words("bf16", 10, context=32768).endswith(": choose a smaller model.")
    assert words("fp8", 0).endswith("; how much your RTX A6000 has free is not known.")


def test_both_answers_occur() -> None:
    sizes = ((24, 24), (12, 8, 8))
    found = {len(free): device_taken("auto", cards(*free), SHAPE, "auto", 2048) for free in sizes}
    assert [device.id for device in found.values() if device] == ["cuda:0", "cuda:0+cuda:1+cuda:2"]
