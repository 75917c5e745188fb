"""Traces: what they hold, in bytes and back, as an engine's events, and what is no trace."""

from __future__ import annotations

import contextlib
import random
import threading
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.history.replay.recording import Recording
from app.history.replay.trace import MOST_STEPS, Trace
from engine.protocol.codec import decode_event
from engine.protocol.errors import FaultError
from engine.protocol.events import Cancelled, Committed, Event, Finished, Frame, Ready, Token
from engine.protocol.requests import LoadRequest, Span
from engine.runtime.replay_engine import ReplayEngine
from tests.fakes import draft_request, finished, ready

GOLDEN = Path(__file__).parents[3] / "golden" / "draft.jsonl"


def frame(step: int, *tokens: Token, canvas: int = 0) -> Frame:
    return Frame(
        request_id="1", variant=0, canvas=canvas, step=step, max_steps=9, elapsed_s=0.1 * step, tokens=tokens
    )


def committed(text: str, canvas: int = 0) -> Committed:
    return Committed(request_id="1", variant=0, canvas=canvas, text=text)


def recorded(*events: Event, model: Ready | None = None) -> Trace:
    recording = Recording(model)
    for event in events:
        if isinstance(event, Frame | Committed | Finished):
            recording.take(event)
    return recording.trace()


def sure(text: str) -> Token:
    return Token(text, 0.001, True, False)


def unsure(text: str, nats: float = 2.0) -> Token:
    return Token(text, nats, False, False)


TWO_CANVASES = (
    frame(0, unsure("xx", 8.3), unsure("yy", 8.3)),
    frame(1, sure("It"), unsure(" rains")),
    frame(2, sure("It"), sure(" rained.")),
    committed("It rained."),
    frame(0, unsure("zz", 8.3), unsure("é", 8.3), canvas=1),
    frame(1, sure(" Émile"), sure(" 🦊"), canvas=1),
    committed(" Émile 🦊", canvas=1),
    msgspec.structs.replace(finished("1"), text="It rained. Émile 🦊", corrected=(Span(3, 9),)),
)


def test_a_real_draft_comes_back_from_its_bytes() -> None:
    events = [decode_event(line) for line in GOLDEN.read_bytes().splitlines()]
    frames = [event for event in events if isinstance(event, Frame)]
    trace = recorded(*events)
    again = Trace.decode(trace.encode())
    assert again == trace
    assert len(again.steps) == len(frames)
    for number, shown in enumerate(frames):
        for token, original in zip(again.tokens(number), shown.tokens, strict=True):
            assert token.text == original.text
            assert (token.accepted, token.pinned) == (original.accepted, original.pinned)
            assert token.entropy == pytest.approx(original.entropy, rel=0.03, abs=0.001)
    assert len(again.encode()) < len(GOLDEN.read_bytes()) / 10


def test_forty_eight_steps_of_the_most_restless_canvas_are_some_tens_of_kilobytes() -> None:
    dice = random.Random(1)

    def token() -> Token:
        return Token(f" {dice.randrange(4000)}", dice.uniform(0, 9), dice.random() < 0.3, False)

    frames = (frame(step, *(token() for _ in range(256))) for step in range(49))
    assert len(recorded(*frames).encode()) < 60_000


def texts(trace: Trace, index: int) -> str:
    return "".join(token.text for token in trace.shown_at(index))


def test_it_tells_what_stood_after_each_step() -> None:
    trace = recorded(*TWO_CANVASES)
    stood = ["xxyy", "It rains", "It rained.", "It rained.zzé", "It rained. Émile 🦊"]
    assert [texts(trace, index) for index in range(5)] == stood
    nats, accepted = zip(*trace.measures, strict=True)
    assert nats == pytest.approx([8.3, 1.0, 0.0, 8.3, 0.0], rel=0.02, abs=0.002)
    assert accepted == (0.0, 0.5, 1.0, 0.0, 1.0)


def test_what_is_measured_is_the_text_that_comes_of_it() -> None:
    """Behind its end the model is sure of nothing to come, from the first step on."""
    end = (sure(""), sure(""), sure(""))
    trace = recorded(frame(1, unsure("It", 3.0), *end), frame(2, sure("It"), *end))
    nats, accepted = trace.measures[0]
    assert nats == pytest.approx(3.0, rel=0.02)
    assert accepted == 0.0


def test_pinned_positions_are_certain_and_no_part_of_the_mean() -> None:
    pinned = Token("Clara", 0.0, False, True)
    trace = recorded(frame(1, pinned, unsure(" is", 3.0)))
    ((nats, accepted),) = trace.measures
    assert nats == pytest.approx(3.0, rel=0.02)
    assert accepted == 0.5


def test_what_does_not_belong_to_its_extent_is_not_shown() -> None:
    steps = (
        frame(1, sure("It"), sure(" rained."), sure(" She left")),
        frame(2, sure("It"), sure(" rained."), sure(" He left")),
    )
    sentence = msgspec.structs.replace(recorded(*steps), extent="sentence")
    assert texts(sentence, 1).rstrip() == "It rained."
    assert not sentence.corrected_at(1)
    assert Trace.decode(sentence.encode()) == sentence


def test_a_word_is_corrected_from_where_it_differs_from_one_that_was_accepted() -> None:
    trace = recorded(
        frame(0, sure("a"), sure("b")),
        frame(1, sure("The"), unsure(" cat")),
        frame(2, sure("A"), sure(" cat")),
        frame(3, sure("A"), sure(" dog")),
        frame(4, sure("The"), sure(" dog")),
        frame(1, sure(" ran"), sure("."), canvas=1),
    )
    assert [set(trace.corrected_at(n)) for n in range(6)] == [set(), set(), {1}, {1, 2}, {1, 2}, set()]


def test_what_does_not_come_into_the_text_is_not_counted() -> None:
    trace = recorded(
        frame(1, sure("It"), sure(" rained"), sure(" Love")),
        frame(2, sure("It"), sure(" rains"), sure(" Yours")),
        frame(3, sure("It"), sure(" rains"), sure("")),
    )
    assert [set(trace.corrected_at(index)) for index in range(3)] == [set(), {2}, {2}]


def test_what_was_stopped_ends_where_it_was_stopped() -> None:
    trace = recorded(*TWO_CANVASES).until(1, 0)
    assert [(step.canvas, step.step) for step in trace.steps] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert (trace.committed, trace.text) == (("It rained.",), None)
    assert texts(trace, 3) == "It rained.zzé"


def test_it_is_bounded() -> None:
    trace = recorded(*(frame(step, unsure("a")) for step in range(3 * MOST_STEPS)))
    assert len(trace.steps) <= MOST_STEPS
    steps = [step.step for step in trace.steps]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 3 * MOST_STEPS - 1)


# ---------------------------------------------------------------- as an engine's events


def replayed(trace: Trace, folder: Path) -> tuple[list[Event], list[Event]]:
    """What the replay engine plays as its load and as its draft."""
    path = folder / "trace.jsonl"
    path.write_bytes(trace.json_lines())
    engine, never = ReplayEngine(path), threading.Event()
    loaded = engine.load(LoadRequest(request_id="1", model="any"), never)
    return list(loaded), list(engine.draft(draft_request("1", ""), never))


def test_the_replay_engine_plays_its_json_lines(tmp_path: Path) -> None:
    loaded, drafted = replayed(recorded(*TWO_CANVASES, model=ready("1")), tmp_path)
    assert [type(event) for event in loaded] == [Ready]
    assert [type(event) for event in drafted] == [type(event) for event in TWO_CANVASES]
    assert drafted[-1] == TWO_CANVASES[-1]
    assert recorded(*drafted, model=ready("1")) == recorded(*TWO_CANVASES, model=ready("1"))


def test_one_that_was_stopped_ends_as_a_cancelled_one(tmp_path: Path) -> None:
    _, drafted = replayed(recorded(*TWO_CANVASES).until(0, 0), tmp_path)
    assert [type(event) for event in drafted] == [Frame, Cancelled]


# ---------------------------------------------------------------- what is no trace


def fault_of(data: bytes) -> str:
    with pytest.raises(FaultError) as caught:
        Trace.decode(data)
    assert caught.value.fault.kind == "trace"
    return caught.value.fault.message


def test_wherever_it_is_cut_off_it_is_damaged() -> None:
    whole = recorded(*TWO_CANVASES).encode()
    assert len({fault_of(whole[:length]) for length in range(len(whole))}) == 1


def test_a_newer_version_says_so() -> None:
    whole = recorded(*TWO_CANVASES).encode()
    assert fault_of(whole[:3] + bytes([whole[3] + 1]) + whole[4:]) != fault_of(b"")


def changed(trace: Trace, **fields: object) -> bytes:
    return msgspec.structs.replace(trace, **fields).encode()


def test_a_step_that_names_what_is_not_there_is_damaged() -> None:
    trace = recorded(*TWO_CANVASES)
    first = trace.steps[0]
    assert fault_of(changed(trace, texts=trace.texts[:3]))
    assert fault_of(changed(trace, steps=(msgspec.structs.replace(first, positions=first.positions[1:]),)))
    assert fault_of(changed(trace, steps=(msgspec.structs.replace(first, canvas=3),)))
    assert fault_of(changed(trace, steps=(msgspec.structs.replace(first, canvas=-1),)))
    assert fault_of(changed(trace, steps=(trace.steps[-1], first)))
    assert fault_of(changed(trace, steps=(first,) * (MOST_STEPS + 1)))


def test_what_would_fill_the_memory_is_damaged() -> None:
    whole = recorded(*TWO_CANVASES).encode()
    assert fault_of(whole[:4] + zlib.compress(bytes(100_000_000)))


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_junk_is_damaged_or_an_empty_trace(junk: bytes, packed: bytes) -> None:
    head = recorded(*TWO_CANVASES).encode()[:4]
    for data in (junk, head + junk, head + zlib.compress(packed)):
        with contextlib.suppress(FaultError):
            assert Trace.decode(data) == Trace()  # a few bytes hold no step


TOKENS = st.builds(Token, st.text(max_size=4), st.floats(-1, 1e308), st.booleans(), st.booleans())


@given(st.lists(st.lists(TOKENS, max_size=5), max_size=5))
def test_any_steps_come_back(canvases: list[list[Token]]) -> None:
    """Of none, of one, empty ones, in any script."""
    trace = recorded(*(frame(step, *tokens) for step, tokens in enumerate(canvases)))
    again = Trace.decode(trace.encode())
    assert again == trace
    assert [[token.text for token in again.tokens(n)] for n in range(len(canvases))] == [
        [token.text for token in tokens] for tokens in canvases
    ]
    assert len(again.measures) == len(canvases)
