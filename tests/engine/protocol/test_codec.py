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
from engine.protocol.requests import (
    CancelRequest,
    DraftPlace,
    DraftRequest,
    Pin,
    PrepareRequest,
    Request,
    SamplingOverrides,
)
from tests import fakes

UNICODE = st.text(st.characters(exclude_categories=["Cs"]))


places = st.builds(
    DraftPlace,
    before=UNICODE,
    after=UNICODE,
    pins=st.lists(st.builds(Pin, st.integers(0), st.integers(0))).map(tuple),
    start_text=UNICODE,
    length_tokens=st.none() | st.integers(0),
)


@given(st.lists(places), st.integers(0, 2**63 - 1), st.none() | st.integers(1, 128))
def test_requests_round_trip(given: list[DraftPlace], seed: int, steps: int | None) -> None:
    sampling = SamplingOverrides(max_steps=steps)
    request = DraftRequest(request_id="1", places=tuple(given), seed=seed, sampling=sampling)
    assert encode(request).count(b"\n") == 1
    assert decode_request(encode(request)) == request


RECORDED = [  # as engine processes were asked before requests had places
    (
        b'{"type":"draft","request_id":"1","before":"It rained. ","after":"","instruction":"","canvases":1,'
        b'"variants":1,"max_steps":null,"seed":7,"early_stop":true,"t_min":null,"t_max":null,'
        b'"entropy_bound":null,"context_tokens":2048,"pins":[],"more":[],"length_tokens":null,"min_tokens":0,'
        b'"start":"","strength":1.0}',
        DraftRequest(request_id="1", places=(DraftPlace(before="It rained. "),), seed=7, context_tokens=2048),
    ),
    (
        b'{"type":"draft","request_id":"2","before":"a","after":"b","instruction":"c","canvases":2,'
        b'"variants":3,"max_steps":12,"seed":0,"early_stop":false,"t_min":0.2,"t_max":0.9,'
        b'"entropy_bound":0.3,"context_tokens":null,"pins":[[5,91],[6,92]],'
        b'"more":[{"before":"d"},{"before":"e","after":"f","instruction":"g"}],"length_tokens":40,'
        b'"min_tokens":3,"start":"It","strength":0.5}',
        DraftRequest(
            request_id="2",
            places=tuple(
                DraftPlace(
                    before=before,
                    after=after,
                    instruction=instruction,
                    pins=(Pin(5, 91), Pin(6, 92)),
                    start_text="It",
                    renoise_share=0.5,
                    min_tokens=3,
                    length_tokens=40,
                )
                for before, after, instruction in (("a", "b", "c"), ("d", "", ""), ("e", "f", "g"))
            ),
            canvases=2,
            variants=3,
            sampling=SamplingOverrides(
                max_steps=12, t_min=0.2, t_max=0.9, entropy_bound=0.3, early_stop=False
            ),
        ),
    ),
    (
        b'{"type":"draft","request_id":"3","before":""}',
        DraftRequest(request_id="3", places=(DraftPlace(before=""),)),
    ),
    (
        b'{"type":"prepare","request_id":"4","before":"a","after":"b","instruction":"c","context_tokens":512}',
        PrepareRequest(
            request_id="4", place=DraftPlace(before="a", after="b", instruction="c"), context_tokens=512
        ),
    ),
]


@pytest.mark.parametrize(("line", "request_"), RECORDED)
def test_a_line_without_places_is_a_request_still(line: bytes, request_: Request) -> None:
    assert decode_request(line) == request_


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"draft","request_id":"1"}',
        b'{"type":"draft","request_id":"1","before":1}',
        b'{"type":"draft","request_id":"1","before":"a","pins":[[1]]}',
        b'{"type":"draft","request_id":"1","before":"a","more":{"before":"b"}}',
        b'{"type":"draft","request_id":"1","before":"a","more":["b"]}',
        b'{"type":"draft","request_id":"1","before":"a","places":"b"}',
        b'{"type":"draft","request_id":"1","before":"a","places":[{"after":"b"}]}',
        b'{"type":"prepare","request_id":"1"}',
        b'{"type":"prepare","before":"a"}',
        b'{"type":"weather","request_id":"1","before":"a"}',
        b'{"type":"weather","request_id":"1","x":' + b"[" * 100_000,
        b"[1]",
    ],
)
def test_what_is_no_request_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (any of its kinds)
        decode_request(line)


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
    assert (frame["place"], frame["variant"], frame["canvas"], frame["step"]) == (0, 0, 0, 2)
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
