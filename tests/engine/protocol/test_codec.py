"""Messages survive the wire; junk is refused, never worse."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocol.codec import decode_event, decode_request, encode
from engine.protocol.errors import Fault, FaultError, fault_of
from engine.protocol.events import Event, Failed
from engine.protocol.requests import CancelRequest, DraftRequest, Request
from tests import fakes

UNICODE = st.text(st.characters(exclude_categories=["Cs"]))


@given(UNICODE, UNICODE, st.integers(0, 2**63 - 1), st.lists(st.tuples(st.integers(0), st.integers(0))))
def test_requests_round_trip(before: str, after: str, seed: int, pins: list[tuple[int, int]]) -> None:
    request = DraftRequest(request_id="1", before=before, after=after, seed=seed, pins=tuple(pins))
    assert encode(request).count(b"\n") == 1
    assert decode_request(encode(request)) == request


@pytest.mark.parametrize(
    "event",
    [
        fakes.ready("1"),
        fakes.frame("1", 2),
        fakes.finished("1"),
        Failed.of("1", Fault("device-lost", "The GPU is gone.")),
    ],
)
def test_events_round_trip(event: Event) -> None:
    assert decode_event(encode(event)) == event


def test_the_shape_that_others_rely_on() -> None:
    frame = json.loads(encode(fakes.frame("1", 2)))
    assert frame["type"] == "frame"
    assert frame["request_id"] == "1"
    assert frame["tokens"][0] == ["It", 0.1, True, False]
    assert json.loads(encode(CancelRequest(request_id="1"))) == {"type": "cancel", "request_id": "1"}


@given(st.binary() | st.recursive(st.none() | UNICODE, st.lists).map(msgspec.json.encode))
def test_junk_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (any of its kinds)
        decode_request(line)
    with pytest.raises(ValueError):  # noqa: PT011
        decode_event(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"weather","request_id":"1"}',
        b'{"type":"cancelled"}',
        b'{"type":"cancelled","request_id":1}',
        b'{"type":"cancelled","request_id":"\xff"}',
        b'{"type":"cancelled","request_id":"1","x":' + b"[" * 100_000,
    ],
)
def test_near_misses_are_value_errors(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (any of its kinds)
        decode_event(line)


def test_what_a_newer_engine_adds_is_ignored() -> None:
    line = b'{"type":"cancelled","request_id":"1","why":"asked"}'
    assert decode_event(line).request_id == "1"


def test_any_exception_becomes_a_fault() -> None:
    def fail() -> Request:
        raise KeyError("layer 7")

    with pytest.raises(KeyError) as caught:
        fail()
    fault = fault_of(caught.value)
    assert fault.kind == "bug"
    assert "layer 7" in fault.details
    known = FaultError("out-of-memory", "message", "remedy", "details")
    assert fault_of(known) == known.fault
    assert Failed.of("2", known.fault).fault == known.fault
