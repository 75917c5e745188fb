"""Drafts that are refused, fail for want of memory, or are cancelled."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import torch

from engine.protocol.events import (
    Cancelled,
    Denoising,
    DraftEvent,
    Failed,
    Finished,
    Frame,
    Prefilled,
    Prefilling,
)
from engine.protocol.requests import DraftPlace, Pin
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import draft, load
from tests.engine.runtime.conftest import BEFORE, failed_of, finished_of, frames_of
from tests.fakes import draft_request, prepare_request


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


def test_a_slow_step_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.diffusion.draft_batch.PROGRESS_S", 0.0)
    told: list[DraftEvent] = []
    engine = LocalEngine(told.append)
    load(engine)
    frames = [event for event in draft(engine, BEFORE, max_steps=2) if isinstance(event, Frame)]
    assert [frame.step for frame in frames] == [0, 1, 2]
    count = len(engine.model.text_model.model.decoder.layers)
    shares = [round(number / count, 2) for number in range(count)]
    told = [event for event in told if isinstance(event, Denoising)]
    assert told == [Denoising(request_id="d", step=step, share=share) for step in (1, 2) for share in shares]


def test_a_step_that_is_quick_tells_nothing() -> None:
    told: list[DraftEvent] = []
    engine = LocalEngine(told.append)
    load(engine)
    draft(engine, BEFORE, max_steps=2)
    assert told == []


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


def test_a_long_block_of_a_prompt_tells_how_far_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.diffusion.draft_batch.PROGRESS_S", 0.0)
    told: list[DraftEvent] = []
    engine = LocalEngine(told.append)
    load(engine)
    engine.model.prefill_tokens = 60
    events = draft(engine, "So it snowed on the hills. " * 8, max_steps=1)
    (prefilled,) = (event for event in events if isinstance(event, Prefilled))
    read = [event.read_tokens for event in told if isinstance(event, Prefilling)]
    assert 60 < prefilled.prompt_tokens < 120
    last = prefilled.prompt_tokens - 60
    assert read == [number * 10 for number in range(6)] + [60 + number * last // 6 for number in range(6)]


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


def test_padding_behind_a_text_leaves_the_text(
    tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([logits_of(token=50), logits_of(token=0)])
    monkeypatch.setattr(tiny_session.model, "denoise", lambda *given: next(answers)(*given))
    assert finished_of(draft(tiny_session, canvases=2, max_steps=1)).text


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
