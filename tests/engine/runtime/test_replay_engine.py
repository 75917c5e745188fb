"""A recorded trace plays like an engine."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.protocol.capabilities import EngineCapabilities
from engine.protocol.codec import decode_event
from engine.protocol.events import Cancelled, Committed, Finished, Frame, Prefilled, Ready
from engine.protocol.requests import LoadRequest
from engine.runtime.replay_engine import ReplayEngine
from tests.fakes import draft_request, prepare_request

GOLDEN = Path(__file__).parents[2] / "golden" / "draft.jsonl"


def test_plays_its_load_and_its_draft() -> None:
    replay = ReplayEngine(GOLDEN)
    loaded = list(replay.load(LoadRequest(request_id="1", model="any"), threading.Event()))
    assert isinstance(loaded[-1], Ready)
    assert loaded[-1].capabilities == EngineCapabilities(frames=True)
    replay.prepare(prepare_request(""), threading.Event())
    drafted = list(replay.draft(draft_request("2", ""), threading.Event()))
    assert {event.request_id for event in drafted} == {"2"}
    assert isinstance(drafted[0], Prefilled)
    frames = [event for event in drafted if isinstance(event, Frame)]
    assert [frame.step for frame in frames] == list(range(len(frames)))
    committed, finished = drafted[-2:]
    assert isinstance(committed, Committed)
    assert isinstance(finished, Finished)
    assert committed.text == finished.text


def test_a_trace_that_tells_no_capabilities_is_of_an_engine_that_had_them() -> None:
    (ready,) = (
        event for event in map(decode_event, GOLDEN.read_bytes().splitlines()) if isinstance(event, Ready)
    )
    can = ready.capabilities
    assert can.frames
    assert can.pins
    assert can.start_text
    assert can.reads_ahead
    assert not can.instructions
    assert (can.max_batch, can.where) == (8, "this computer")


def test_sees_a_cancel_in_its_pause() -> None:
    cancelled = threading.Event()
    events = ReplayEngine(GOLDEN, pace_s=0.001).draft(draft_request("1", ""), cancelled)
    next(events)
    cancelled.set()
    assert list(events) == [Cancelled(request_id="1")]


def test_refuses_what_is_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("It rained.\n")
    with pytest.raises(ValueError, match="malformed"):
        ReplayEngine(path)
