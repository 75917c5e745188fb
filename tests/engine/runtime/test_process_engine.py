"""An engine in a child process: it drafts, is cancelled, dies, hangs and talks nonsense."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.protocol.events import (
    Cancelled,
    Committed,
    Event,
    Failed,
    Finished,
    Frame,
    LinkMeasured,
    Loading,
    Prefilled,
    Ready,
)
from engine.protocol.requests import DraftPlace, DraftRequest, LinkRequest, LoadRequest
from engine.runtime.process_engine import ProcessEngine
from tests import fakes
from tests.engine.runtime.children import LOAD, draft, failed, load, prepare
from tests.fakes import draft_request, prepare_request, prompt_request


def test_drafts_from_any_working_directory(
    engine: ProcessEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise ImportError('the wrong engine')")
    monkeypatch.chdir(tmp_path)
    load(engine)
    events = draft(engine)
    assert [event.step for event in events if isinstance(event, Frame)] == list(range(fakes.STEPS + 1))
    assert isinstance(events[-2], Committed)
    assert events[-2].text == fakes.TEXT
    assert isinstance(events[-1], Finished)


def test_a_link_is_measured_where_a_model_is_loaded_and_starts_no_engine(engine: ProcessEngine) -> None:
    request = LinkRequest(request_id="1", device="GPU-1")
    refused = Cancelled(request_id="1")
    assert list(engine.measure_link(request, threading.Event())) == [refused]
    load(engine)
    assert list(engine.measure_link(request, threading.Event())) == [
        LinkMeasured(request_id="1", bytes_per_s=12 * 10**9)
    ]
    engine.close()
    assert list(engine.measure_link(request, threading.Event())) == [refused]


def test_a_link_that_is_measured_is_given_up(engine: ProcessEngine) -> None:
    load(engine)
    cancelled = threading.Event()
    cancelled.set()
    request = LinkRequest(request_id="1", device="endless")
    assert list(engine.measure_link(request, cancelled)) == [Cancelled(request_id="1")]
    assert isinstance(draft(engine)[-1], Finished)


def test_the_draft_ends_with_its_last_variant(engine: ProcessEngine) -> None:
    load(engine)
    request = draft_request("1", "", variants=3)
    events = list(engine.draft(request, threading.Event()))
    assert [event.variant for event in events if isinstance(event, Finished)] == [0, 1, 2]


def test_the_draft_ends_with_the_last_variant_of_its_last_place(engine: ProcessEngine) -> None:
    load(engine)
    request = DraftRequest(
        request_id="1", places=(DraftPlace(before="a"), DraftPlace(before="b")), variants=2
    )
    events = list(engine.draft(request, threading.Event()))
    finished = [(event.place, event.variant) for event in events if isinstance(event, Finished)]
    assert finished == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_draft_of_nothing_ends_too(engine: ProcessEngine) -> None:
    load(engine)
    request = DraftRequest(request_id="1", places=())
    assert isinstance(list(engine.draft(request, threading.Event()))[-1], Failed)


def test_half_a_character_is_refused_and_survived(engine: ProcessEngine) -> None:
    pid = load(engine)
    (event,) = engine.draft(draft_request("1", "abc\ud83e"), threading.Event())
    assert isinstance(event, Failed)
    assert event.kind == "input"
    assert isinstance(draft(engine)[-1], Finished)
    assert load(engine) == pid


@pytest.mark.parametrize("model", ["fake", "endless"])
def test_cancel_while_it_loads_then_the_next_draft_loads(model: str, engine: ProcessEngine) -> None:
    cancelled = threading.Event()
    events = engine.load(LoadRequest(request_id="1", model=model), cancelled)
    next(events)  # the child is not started yet
    cancelled.set()
    assert list(events)[-1] == Cancelled(request_id="1")
    load(engine)
    assert isinstance(draft(engine, request_id="2")[-1], Finished)


def test_cancel_while_it_drafts(engine: ProcessEngine) -> None:
    load(engine)
    cancelled = threading.Event()
    request = draft_request("1", "", instruction="endless")
    events = engine.draft(request, cancelled)
    for _ in range(4):
        next(events)
    cancelled.set()
    assert list(events)[-1] == Cancelled(request_id="1")
    assert isinstance(draft(engine, request_id="2")[-1], Finished)


def test_a_draft_dropped_halfway_is_cancelled(engine: ProcessEngine) -> None:
    load(engine)
    request = draft_request("1", "", instruction="endless")
    events = engine.draft(request, threading.Event())
    next(events)
    del events
    assert {event.request_id for event in draft(engine, request_id="2")} == {"2"}


def test_a_prompt_is_told_and_a_lost_model_loaded_for_it(
    engine: ProcessEngine, caplog: pytest.LogCaptureFixture
) -> None:
    load(engine)
    request = prompt_request("1", "It rained. ")
    (told,) = engine.prompt(request, threading.Event())
    assert isinstance(told, Prefilled)
    assert told.prompt == "It rained. "
    failed(draft(engine, "exit"))
    again = list(engine.prompt(request, threading.Event()))
    assert [type(event) for event in again[-2:]] == [Ready, Prefilled]
    caplog.clear()


def test_a_draft_does_not_wait_for_a_prepare(engine: ProcessEngine) -> None:
    pid = load(engine)
    prepare(engine, "endless")
    events = draft(engine)
    assert {event.request_id for event in events} == {"1"}
    assert isinstance(events[-1], Finished)
    prepare(engine, "raise")
    prepare(engine, before="abc\ud83e")
    assert draft(engine, request_id="2")[-1].request_id == "2"
    assert load(engine) == pid


def test_a_prepare_does_not_wait_for_the_child(engine: ProcessEngine) -> None:
    pid = load(engine)
    os.kill(pid, signal.SIGSTOP)
    preparing = threading.Thread(target=prepare, args=(engine,), daemon=True)
    preparing.start()
    preparing.join(10)
    assert not preparing.is_alive()
    os.kill(pid, signal.SIGCONT)
    assert isinstance(draft(engine)[-1], Finished)


def test_a_prepare_starts_no_engine_and_loads_none(engine: ProcessEngine) -> None:
    ProcessEngine(["/nowhere/python"]).prepare(prepare_request(""), threading.Event())
    failed(list(engine.load(LoadRequest(request_id="1", model="missing"), threading.Event())))
    prepare(engine, "die")  # nobody takes it
    (loading, _) = engine.load(LOAD, threading.Event())
    assert isinstance(loading, Loading)
    assert loading.stage == "Reading weights"


def test_a_cancelled_prepare_is_not_sent(engine: ProcessEngine) -> None:
    pid = load(engine)
    cancelled = threading.Event()
    cancelled.set()
    engine.prepare(prepare_request("", "die"), cancelled)
    assert load(engine) == pid


BESIDE_A_CARD = """
from engine.protocol.events import Device, Loading
from engine.runtime.server import serve
from tests.fakes import FakeEngine

class BesideACard(FakeEngine):
    def load(self, request, cancelled):
        devices = tuple(Device(id=id, name="", total_bytes=0, free_bytes=0) for id in ("cuda:0", "cpu"))
        yield Loading(request_id=request.request_id, stage="", fraction=0.0, devices=devices)
        yield from super().load(request, cancelled)

serve(lambda _: BesideACard())
"""


@pytest.fixture
def beside_a_card() -> Iterator[ProcessEngine]:
    engine = ProcessEngine((sys.executable, "-c", BESIDE_A_CARD))
    yield engine
    engine.close()


def load_to(engine: ProcessEngine, device: str, model: str = "fake") -> list[Event]:
    return list(engine.load(LoadRequest(request_id="1", model=model, device=device), threading.Event()))


@pytest.mark.parametrize("device", ["auto", "cuda:0"])
def test_another_load_on_a_card_starts_afresh(device: str, beside_a_card: ProcessEngine) -> None:
    *_, first = load_to(beside_a_card, device)
    assert isinstance(draft(beside_a_card)[-1], Finished)
    for then in (device, "cpu"):
        *_, second = load_to(beside_a_card, then)
        assert isinstance(first, Ready)
        assert isinstance(second, Ready)
        assert first.label != second.label
        first = second


def test_another_load_on_the_processor_does_not(beside_a_card: ProcessEngine) -> None:
    failed(load_to(beside_a_card, "cpu", "missing"))
    begun = [load_to(beside_a_card, device)[0] for device in ("cpu", "auto")]
    assert not [event for event in begun if isinstance(event, Loading) and event.stage]


def test_after_a_load_that_failed_or_was_cancelled_a_draft_starts_afresh(
    beside_a_card: ProcessEngine,
) -> None:
    load_to(beside_a_card, "auto", "missing")
    loading, *_, fault = draft(beside_a_card)
    assert isinstance(loading, Loading)
    assert loading.stage == "Starting the engine"
    assert failed([fault]).kind == "weights-missing"
    cancelled = threading.Event()
    events = beside_a_card.load(LoadRequest(request_id="2", model="endless"), cancelled)
    while not (isinstance(event := next(events), Loading) and event.stage == "Reading weights"):
        pass
    cancelled.set()
    assert list(events)[-1] == Cancelled(request_id="2")
    begun, *_ = load_to(beside_a_card, "auto")
    assert isinstance(begun, Loading)
    assert begun.stage == "Starting the engine"


@pytest.mark.both_worlds
def test_the_real_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = ProcessEngine()
    loaded = list(
        engine.load(LoadRequest(request_id="load", model="starter", device="cpu"), threading.Event())
    )
    assert isinstance(loaded[-1], Ready), loaded[-1]
    cancelled = threading.Event()
    request = draft_request("1", "The rain had stopped. ", max_steps=4, early_stop=False)
    events = engine.draft(request, cancelled)
    while not isinstance(next(events), Frame):
        pass
    cancelled.set()
    assert list(events)[-1] == Cancelled(request_id="1")
    drafted = list(engine.draft(request, threading.Event()))
    assert isinstance(drafted[-1], Finished), drafted[-1]
    assert [event.step for event in drafted if isinstance(event, Frame)] == [0, 1, 2, 3, 4]
    engine.close()
