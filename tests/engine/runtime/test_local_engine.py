"""What a draft says, on the bundled model and on a tiny random one."""

from __future__ import annotations

import gc
import math
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from engine.hardware import torch_devices
from engine.model import link_speed
from engine.protocol.events import (
    Cancelled,
    Committed,
    Device,
    DraftEvent,
    Failed,
    Finished,
    Frame,
    LinkEvent,
    LinkMeasured,
    Prefilled,
)
from engine.protocol.requests import LinkRequest, Pin, Span
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import draft, load
from tests.engine.runtime.conftest import BEFORE, finished_of, frames_of, text_of
from tests.fakes import draft_request, prepare_request, prompt_request


@pytest.fixture(scope="module")
def seventh(loaded_starter: LocalEngine) -> list[DraftEvent]:
    draft(loaded_starter, "Once", max_steps=1)  # nothing of it has been read then
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


def test_the_prompt_of_a_draft_to_come_is_that_of_the_draft(tiny_session: LocalEngine) -> None:
    before = "It rained.\n\n" * 40 + "Then "
    request = msgspec.structs.replace(prompt_request("1", before), context_tokens=64)
    (told,) = tiny_session.prompt(request, threading.Event())
    drafted = draft(tiny_session, before, max_steps=1, context_tokens=64)[0]
    assert isinstance(drafted, Prefilled)
    expected = msgspec.structs.replace(drafted, request_id="1", reused_tokens=0, prefill_s=0.0)
    assert told == expected
    assert told.prompt_tokens <= told.budget_tokens == 64
    assert told.prompt == before[told.cut_chars :].rstrip()
    (failed,) = LocalEngine().prompt(request, threading.Event())
    assert isinstance(failed, Failed)


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
        hidden = prefill(cache, ids)
        if len(read) == 2:
            cancelled.set()
        return hidden

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


def test_a_link_is_measured_to_a_card_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Device(id="cuda:0", name="A card", total_bytes=8, free_bytes=8, uuid="GPU-1")
    monkeypatch.setattr(torch_devices, "devices", lambda: (card,))
    monkeypatch.setattr(link_speed, "measure_card", lambda device, _: 7 if device == card else 0)

    def measured(device: str) -> LinkEvent:
        (event,) = LocalEngine().measure_link(LinkRequest(request_id="1", device=device), threading.Event())
        return event

    assert measured("GPU-1") == measured("cuda:0") == LinkMeasured(request_id="1", bytes_per_s=7)
    failed = measured("GPU-2")
    assert isinstance(failed, Failed)
    assert failed.kind == "device-missing"


def test_a_link_is_no_longer_measured_once_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Device(id="cuda:0", name="A card", total_bytes=8, free_bytes=8)
    monkeypatch.setattr(torch_devices, "devices", lambda: (card,))
    cancelled = threading.Event()

    def measure(_: Device, check_cancelled: Callable[[], None]) -> int:
        cancelled.set()
        check_cancelled()
        return 7

    monkeypatch.setattr(link_speed, "measure_card", measure)
    request = LinkRequest(request_id="1", device="cuda:0")
    assert list(LocalEngine().measure_link(request, cancelled)) == [Cancelled(request_id="1")]
