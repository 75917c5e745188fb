"""What canvases hold, and a whole redraft of a passage between its neighbours."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from engine.diffusion import canvas_plan
from engine.protocol.codec import decode_request
from engine.protocol.events import Cancelled, Committed, DraftEvent, Failed, Finished, Frame, Prefilled
from engine.protocol.requests import DraftPlace, DraftRequest, Pin, Span
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import draft, load
from tests.fakes import draft_request

BEFORE, PASSAGE, AFTER = "It rained all day. ", "We went home.", " Nobody had a coat."
LONG = "We went home and made tea. The old ferry had not moved for years. " * 6


def redraft(session: LocalEngine, **fields: Any) -> list[DraftEvent]:
    asked: dict[str, Any] = {"after": AFTER, "start_text": PASSAGE, "joins_after": True, "max_steps": 3}
    return draft(session, BEFORE, **asked | fields)


def finished_of(events: list[DraftEvent]) -> list[Finished]:
    assert isinstance(events[-1], Finished), events[-1]
    return [event for event in events if isinstance(event, Finished)]


def seen_by(
    session: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """What each step shows the model: ids, and the positions that it is to predict."""
    seen: list[tuple[torch.Tensor, torch.Tensor | None]] = []
    denoise = session.model.denoise

    def watched(canvases: Any, ids: Any, soft: Any, places: Any = None) -> torch.Tensor:
        seen.append((ids.clone(), places))
        return denoise(canvases, ids, soft, places)

    monkeypatch.setattr(session.model, "denoise", watched)
    return seen


def repeating(session: LocalEngine, token: int) -> Callable[..., torch.Tensor]:
    """A model that finds one token likely everywhere."""
    denoise: Callable[..., torch.Tensor] = session.model.denoise

    def likely(*given: Any) -> torch.Tensor:
        logits = denoise(*given)
        logits[:, token] = 30.0
        return logits

    return likely


def test_the_text_after_stands_behind_the_draft_and_is_not_predicted(
    tiny_writer: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen = tiny_writer.model, seen_by(tiny_writer, monkeypatch)
    length = len(model.tokenizer.encode(" " + PASSAGE))
    after = [*model.tokenizer.encode(AFTER), model.end_id]
    redraft(tiny_writer)
    assert len(seen) > 1
    for ids, places in seen:
        assert ids[0, length : length + len(after)].tolist() == after
        assert set(ids[0, length + len(after) :].tolist()) == {model.fill_id}
        assert places is not None
        assert places.tolist() == list(range(length - 1))  # the full stop is held


@pytest.mark.parametrize(
    ("fields", "tokens"), [({}, 128), ({"length_tokens": 128}, 144), ({"min_tokens": 160}, 176)]
)
def test_a_sentence_has_a_short_canvas(
    loaded_starter: LocalEngine, fields: dict[str, Any], tokens: int
) -> None:
    events = draft(loaded_starter, BEFORE, extent="sentence", max_steps=2, **fields)
    assert {len(event.tokens) for event in events if isinstance(event, Frame)} == {tokens}
    longer = draft(loaded_starter, BEFORE, extent="sentence", canvases=2, max_steps=2)
    assert {len(event.tokens) for event in longer if isinstance(event, Frame)} == {256}


@pytest.mark.parametrize(("text", "canvases"), [(" went" * 16, 3), (" went" * 8 + ". Then" + " went" * 6, 1)])
def test_a_sentence_without_an_end_goes_on(
    tiny_writer: LocalEngine, monkeypatch: pytest.MonkeyPatch, text: str, canvases: int
) -> None:
    monkeypatch.setattr(canvas_plan, "SENTENCE_TOKENS", 16)
    encode = tiny_writer.model.tokenizer.encode
    monkeypatch.setattr(tiny_writer.model, "denoise", repeating(tiny_writer, encode(" went")[0]))
    pins = tuple(Pin(position, token) for position, token in enumerate(encode(text)))
    events = draft(tiny_writer, BEFORE, extent="sentence", max_steps=2, pins=pins)
    assert [event.canvas for event in events if isinstance(event, Committed)] == list(range(canvases))
    assert finished_of(events)[0].text == (text + " went" * 16 * (canvases - 1)).lstrip()


@pytest.mark.parametrize(
    ("text", "fields", "lengths"),
    [
        (" went" * 20, {}, [32, 32]),  # together no shorter than a paragraph's canvas
        (" went" * 8 + ". Then", {"canvases": 3}, [48]),
        (" went" * 8 + ". Then", {"canvases": 3, "min_tokens": 70}, [48, 48]),
        (" went" * 8 + ". Then", {"canvases": 3, "length_tokens": 130}, [48, 48, 34]),
    ],
)
def test_a_sentence_is_as_long_as_was_asked_for(
    tiny_writer: LocalEngine,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    fields: dict[str, Any],
    lengths: list[int],
) -> None:
    monkeypatch.setattr(canvas_plan, "SENTENCE_TOKENS", 16)
    encode = tiny_writer.model.tokenizer.encode
    monkeypatch.setattr(tiny_writer.model, "denoise", repeating(tiny_writer, encode(" went")[0]))
    pins = tuple(Pin(position, token) for position, token in enumerate(encode(text)))
    events = draft(tiny_writer, BEFORE, extent="sentence", max_steps=2, pins=pins, **fields)
    assert [event.canvas for event in events if isinstance(event, Committed)] == list(range(len(lengths)))
    assert finished_of(events)[0].stats.tokens == sum(lengths)


@pytest.mark.parametrize("after", ["", " So.", AFTER * 20])
def test_a_canvas_is_no_longer_than_it_needs_to_be(
    tiny_writer: LocalEngine, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    seen = seen_by(tiny_writer, monkeypatch)
    (finished,) = finished_of(redraft(tiny_writer, after=after, start_text="We went.", renoise_share=0.5))
    assert all(ids.shape[1] in (48, 32) for ids, _ in seen)
    assert finished.stats.tokens == len(tiny_writer.model.tokenizer.encode(" We went."))


@pytest.mark.parametrize(
    ("before", "after", "end"),
    [
        (BEFORE, AFTER, "."),
        (BEFORE, "\n\nNobody had a coat.", "."),
        ("Dear Anna,\n\n", "", "."),
        ("雨だった。", "傘がない。", "。"),
        (BEFORE, " and slept.", None),
        ("It rained and", AFTER, None),
        ("It rained.\n\n```python\nimport sea\n", "\nsea.rise()\n```\n", None),
        ("It rained.\n\n```\nx\n```\n\n", "\n\nNobody had a coat.", "."),
    ],
)
def test_a_draft_between_whole_sentences_ends_as_they_do(
    tiny_writer: LocalEngine, before: str, after: str, end: str | None
) -> None:
    place = {"after": after, "joins_after": True, "length_tokens": 9, "length_shares": (0.7, 1.0, 1.5)}
    events = draft(tiny_writer, before, variants=3, max_steps=3, **place)
    frames = [event for event in events if isinstance(event, Frame)]
    assert {frame.tokens[-1].pinned for frame in frames} == {end is not None}
    if end:
        assert [event.text[-1] for event in finished_of(events)] == [end] * 3


def test_lengths_are_tried_and_the_drafts_ranked(tiny_writer: LocalEngine) -> None:
    tokens = len(tiny_writer.model.tokenizer.encode(" " + PASSAGE))
    drafts = finished_of(redraft(tiny_writer, variants=3, length_shares=(1.0, 2.0), seed=4))
    assert [each.stats.tokens for each in drafts] == [tokens, 2 * tokens, tokens]
    assert sorted(each.rank for each in drafts) == [0, 1, 2]
    (filled,) = finished_of(redraft(tiny_writer, start_text="", length_tokens=7))
    assert filled.stats.tokens == 7


def test_a_passage_longer_than_a_canvas_is_taken_in_windows(tiny_writer: LocalEngine) -> None:
    (finished,) = finished_of(redraft(tiny_writer, start_text=LONG, held=(Span(0, len(LONG)),)))
    assert finished.text == LONG.rstrip() + finished.text[len(LONG.rstrip()) :]
    events = redraft(tiny_writer, start_text=LONG, renoise_share=0.5)
    committed = [event.text for event in events if isinstance(event, Committed)]
    assert len(committed) >= 4
    assert "".join(committed) == finished_of(events)[0].text
    assert {event.canvas for event in events if isinstance(event, Frame)} == set(range(len(committed)))


def test_a_passage_beyond_the_models_context_is_refused(tiny_writer: LocalEngine) -> None:
    failed = redraft(tiny_writer, start_text=LONG * 60)[-1]
    assert isinstance(failed, Failed)
    assert failed.kind == "input"
    assert failed.remedy


def test_some_words_of_a_passage_have_to_change(loaded_starter: LocalEngine) -> None:
    """What the model finds likely would come back as it is."""
    fields: dict[str, Any] = {"start_text": "Thank you for your letter.", "max_steps": 8}
    (polished,) = finished_of(redraft(loaded_starter, renoise_share=0.0, **fields))
    assert polished.text == fields["start_text"]
    for seed in range(6):
        (rephrased,) = finished_of(redraft(loaded_starter, renoise_share=0.5, seed=seed, **fields))
        assert rephrased.text != fields["start_text"]


def test_what_is_to_change_comes_back_as_another_text_and_all_else_to_the_letter(
    loaded_starter: LocalEngine,
) -> None:
    text = "Thank you for your letter. I hope hope to see you soon."
    at = text.index("hope to")
    held = (Span(0, at), Span(at + 4, len(text)))
    for seed in range(4):
        fields: dict[str, Any] = {"start_text": text, "held": held, "changes": True, "seed": seed}
        (mended,) = finished_of(redraft(loaded_starter, max_steps=8, **fields))
        assert mended.text.startswith(text[:at])
        assert mended.text.endswith(text[at + 4 :])
        assert mended.text != text
    fields["length_shares"] = (0.1,)
    (shorter,) = finished_of(redraft(loaded_starter, max_steps=8, **fields))
    assert shorter.text == text.replace("hope hope", "hope")


def test_places_of_every_kind_share_a_batch(tiny_writer: LocalEngine) -> None:
    places = (
        DraftPlace(before=BEFORE),
        DraftPlace(before=BEFORE, after=AFTER, start_text=PASSAGE, joins_after=True, renoise_share=0.5),
        DraftPlace(before=BEFORE, after=AFTER, length_tokens=5, joins_after=True),
        DraftPlace(before=BEFORE, start_text="We went home.", held=(Span(3, 7),)),
    )
    events = draft(tiny_writer, places=places, variants=2, max_steps=3)
    drafts = finished_of(events)
    assert {(each.place, each.variant) for each in drafts} == {(p, v) for p in range(4) for v in range(2)}
    assert all(each.rank == 0 for each in drafts if each.place in (0, 3))
    assert all("went" in each.text for each in drafts if each.place == 3)
    assert all(each.stats.tokens == 5 for each in drafts if each.place == 2)
    frames = [event for event in events if isinstance(event, Frame)]
    assert {len(frame.tokens) for frame in frames if frame.place == 2} == {5}


@pytest.mark.both_worlds
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_held_is_held_in_every_precision(precision: str) -> None:
    session = LocalEngine()
    load(session, precision=precision)
    held = (Span(3, 7),)
    for each in finished_of(redraft(session, held=held, variants=2, length_shares=(1.0, 1.5), max_steps=2)):
        assert "went" in each.text


def test_what_was_corrected_is_told_by_where_it_stands(
    tiny_writer: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is sure of one word, then of another: the first position alone comes back."""
    encode, said = tiny_writer.model.tokenizer.encode, iter([" sea", " sun", " sun", " sun"])
    vocabulary = tiny_writer.model.vocab_size

    def denoise(_canvases: Any, _ids: Any, _soft: Any, places: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(places), vocabulary)
        logits[:, encode(" and")] = 50.0
        logits[1, encode(" and")] = 0.0
        logits[1, encode(next(said))] = 50.0
        return logits

    monkeypatch.setattr(tiny_writer.model, "denoise", denoise)
    (finished,) = finished_of(redraft(tiny_writer, start_text="", length_tokens=3, after=" and"))
    assert finished.text == "and sun and"
    assert [finished.text[span.start : span.end] for span in finished.corrected] == [" sun"]


@pytest.mark.parametrize(
    "state", [Prefilled, Frame, Committed], ids=["read", "developing", "before it is ranked"]
)
def test_a_redraft_can_be_cancelled_in_every_state(tiny_writer: LocalEngine, state: type[Any]) -> None:
    request = draft_request(
        "d",
        BEFORE,
        after=AFTER,
        start_text=LONG,
        renoise_share=0.5,
        joins_after=True,
        variants=2,
        max_steps=2,
    )
    cancelled, events = threading.Event(), list[DraftEvent]()
    for event in tiny_writer.draft(request, cancelled):
        events.append(event)
        if isinstance(event, state):
            cancelled.set()
    assert isinstance(events[-1], Cancelled)
    assert not any(isinstance(event, Finished) for event in events)


def test_a_cancel_is_seen_between_the_windows_of_a_long_passage(
    tiny_writer: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = draft_request(
        "d", BEFORE, after=AFTER, start_text=LONG, renoise_share=0.5, joins_after=True, max_steps=2
    )
    cancelled, judged = threading.Event(), list[int]()
    denoise: Callable[..., torch.Tensor] = tiny_writer.model.denoise

    def watched(canvases: Any, *given: Any) -> torch.Tensor:
        judged.append(canvases.tokens)
        cancelled.set()
        return denoise(canvases, *given)

    monkeypatch.setattr(tiny_writer.model, "denoise", watched)
    assert isinstance(list(tiny_writer.draft(request, cancelled))[-1], Cancelled)
    assert len(judged) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"renoise_share": -0.1},
        {"length_shares": (1.0, 0.05)},
        {"length_shares": (4.5,)},
        {"steps_share": 1.5},
        {"steps_share": -1.0},
        {"held": (Span(0, len(PASSAGE) + 1),)},
        {"held": (Span(-1, 3),)},
        {"held": (Span(3, 3),)},
        {"start_text": "", "held": (Span(0, 1),)},
        {"start_text": ""},
        {"start_text": "", "length_tokens": 25},
        {"min_tokens": 3},
        {"joins_after": False, "held": (Span(0, 7),), "length_tokens": 1},
    ],
)
def test_what_makes_no_sense_is_refused(tiny_writer: LocalEngine, fields: dict[str, Any]) -> None:
    failed = redraft(tiny_writer, **fields)[-1]
    assert isinstance(failed, Failed), failed
    assert failed.kind == "input"
    assert failed.remedy


@pytest.mark.parametrize(
    "fields",
    [
        {"steps_share": 1.5},
        {"strength": -1.0},
        {"more": [{"before": "x", "start_text": "It", "held": [[0, 3]]}]},
        {"more": [{"before": "x", "joins_after": True, "length_tokens": 3, "length_shares": [9.0]}]},
    ],
)
def test_what_makes_no_sense_is_refused_in_a_request_of_old(
    tiny_writer: LocalEngine, fields: dict[str, Any]
) -> None:
    line = json.dumps({"type": "draft", "request_id": "d", "before": "It rained", "start": "It"} | fields)
    request = decode_request(line.encode())
    assert isinstance(request, DraftRequest)
    failed = list(tiny_writer.draft(request, threading.Event()))[-1]
    assert isinstance(failed, Failed)
    assert failed.kind == "input"
