"""A recorded trace plays like an engine."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.protocol.events import Cancelled, Committed, Finished, Frame, Prefilled, Ready
from engine.protocol.requests import DraftRequest, LoadRequest, PrepareRequest
from engine.runtime.replay_engine import ReplayEngine

GOLDEN = Path(__file__).parents[2] / "golden" / "draft.jsonl"


def test_plays_its_load_and_its_draft() -> None:
    replay = ReplayEngine(GOLDEN)
    loaded = list(replay.load(LoadRequest(request_id="1", model="any"), threading.Event()))
    assert isinstance(loaded[-1], Ready)
    replay.prepare(PrepareRequest(request_id="1", before=""), threading.Event())
    drafted = list(replay.draft(DraftRequest(request_id="2", before=""), threading.Event()))
    assert {event.request_id for event in drafted} == {"2"}
    assert isinstance(drafted[0], Prefilled)
    frames = [event for event in drafted if isinstance(event, Frame)]
    assert [frame.step for frame in frames] == list(range(len(frames)))
    committed, finished = drafted[-2:]
    assert isinstance(committed, Committed)
    assert isinstance(finished, Finished)
    assert committed.text == finished.text


def test_sees_a_cancel_in_its_pause() -> None:
    cancelled = threading.Event()
    events = ReplayEngine(GOLDEN, pace_s=0.001).draft(DraftRequest(request_id="1", before=""), cancelled)
    next(events)
    cancelled.set()
    assert list(events) == [Cancelled(request_id="1")]


def test_refuses_what_is_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("It rained.\n")
    with pytest.raises(ValueError, match="malformed"):
        ReplayEngine(path)
