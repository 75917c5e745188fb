"""Random rewrites, redrafts and fills on a tiny model that spells all there is."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.protocol.events import Failed, Finished
from engine.protocol.requests import DraftPlace, DraftRequest, SamplingOverrides, Span
from engine.runtime.local_engine import LocalEngine

WORDS = (
    "the",
    "Nora’s",
    "don't",
    "3.5",
    "“yes,”",
    "ferry",
    "naïve",
    "e\u0301",
    "well-known",
    "https://a.b/c",
)
ODD = (
    "😀",
    "👩‍👩‍👧",
    "日本語",
    "。",
    "שלום",
    "\n",
    "\n\n",
    "  ",
    "\t",
    "…",
    "<eos>",
    "\u200b",
    "¿",
    "—",
    "`x = 1`",
)
ENDS = (". ", "! ", "?” ", ".\n\n", ", ")

words = st.sampled_from(WORDS + ODD)
texts = st.lists(st.tuples(words, st.sampled_from((" ", " ", " ", "", *ENDS))).map("".join), max_size=30).map(
    "".join
)


@st.composite
def places(draw: st.DrawFn, joins: bool) -> DraftPlace:
    passage = draw(texts)
    if not joins:
        passage = passage[:12]
    edges = draw(st.lists(st.integers(0, len(passage)), max_size=6, unique=True).map(sorted))
    held = tuple(Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False))
    return DraftPlace(
        before=draw(texts),
        after=draw(texts) * draw(st.sampled_from((1, 1, 8))),
        start_text=passage,
        held=held,
        renoise_share=draw(st.sampled_from((0.0, 0.25, 0.6, 1.0)) | st.floats(0.0, 1.0)),
        joins_after=joins,
        length_shares=draw(st.lists(st.floats(0.1, 4.0), max_size=3).map(tuple)),
        length_tokens=draw(st.integers(1, 24)) if joins and not passage else None,
    )


requests = st.builds(
    DraftRequest,
    request_id=st.just("d"),
    places=st.lists(st.booleans().flatmap(places), min_size=1, max_size=3).map(tuple),
    variants=st.integers(1, 2),
    seed=st.integers(0, 2**63 - 1),
    sampling=st.just(SamplingOverrides(max_steps=3)),
)


@hypothesis_settings(max_examples=40)
@given(requests)
def test_what_is_held_stays_to_the_letter_and_no_line_is_broken(
    tiny_writer: LocalEngine, request: DraftRequest
) -> None:
    events = list(tiny_writer.draft(request, threading.Event()))
    finished = [event for event in events if isinstance(event, Finished)]
    if isinstance(events[-1], Failed) and events[-1].kind == "output":  # a single draft of blanks
        assert len(request.places) * request.variants == 1
        return
    assert len(finished) == len(request.places) * request.variants, events[-1]
    for event in finished:
        place = request.places[event.place]
        at = 0
        for span in place.held:
            kept = place.start_text[span.start : span.end].strip()
            found = event.text.find(kept, at)
            assert found >= 0, (kept, event.text)
            at = found + len(kept)
        if place.joins_after and "\n" not in place.start_text:
            assert "\n" not in event.text
