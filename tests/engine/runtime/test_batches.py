"""Variants and places that are drafted in one batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints.precision import Precision
from engine.protocol.events import Committed, DraftEvent, Finished, Frame, Prefilled, Token
from engine.protocol.requests import DraftPlace, Pin
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import draft, load
from tests.engine.runtime.conftest import BEFORE, finished_of, frames_of


def starting_tokens(events: list[DraftEvent]) -> list[tuple[Token, ...]]:
    """The random canvas of each draft."""
    return [frame.tokens for frame in frames_of(events) if frame.step == 0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_draft_n_starts_from_the_noise_of_seed_plus_n(tiny_folder: Path, precision: Precision) -> None:
    session = LocalEngine()
    load(session, str(tiny_folder), precision)
    alone = [starting_tokens(draft(session, seed=7 + n, max_steps=1)) for n in range(4)]
    for variants in (1, 2, 4):
        together = starting_tokens(draft(session, seed=7, variants=variants, max_steps=1))
        assert together == [tokens for (tokens,) in alone[:variants]]
    assert alone[0] != alone[1]


def test_in_fp32_variant_n_is_the_draft_of_seed_plus_n(loaded_starter: LocalEngine) -> None:
    both = draft(loaded_starter, BEFORE, seed=7, variants=2, max_steps=6)
    texts = [event.text for event in both if isinstance(event, Finished)]
    assert [event.variant for event in both if isinstance(event, Finished)] == [0, 1]
    alone = draft(loaded_starter, BEFORE, seed=8, max_steps=6)
    assert finished_of(alone).text == texts[1] != texts[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_request_gives_the_same_frames_in_every_precision(
    tiny_folder: Path, precision: Precision
) -> None:
    frames: list[list[tuple[Token, ...]]] = []
    for _ in range(2):
        session = LocalEngine()
        load(session, str(tiny_folder), precision)
        for _ in range(2):
            events = draft(session, seed=7, variants=3, max_steps=8, canvases=2)
            frames.append([frame.tokens for frame in frames_of(events)])
    assert frames[0] == frames[1] == frames[2] == frames[3]


def test_variants_of_one_batch_tell_their_steps_side_by_side(tiny_session: LocalEngine) -> None:
    events = draft(tiny_session, variants=3, max_steps=4, early_stop=False, min_tokens=1)
    assert [(frame.step, frame.variant) for frame in frames_of(events)] == [
        (step, variant) for step in range(5) for variant in range(3)
    ]
    assert sorted(event.variant for event in events if isinstance(event, Finished)) == [0, 1, 2]


def test_places_are_drafted_in_one_batch_each_with_its_own_prompt(
    tiny_session: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of different lengths, longer and shorter than the sliding window."""
    befores = ["It rained", "A much longer text than that one", "It rained"]
    passes: list[int] = []
    denoise = tiny_session.model.denoise
    alone = [draft(tiny_session, before, seed=n, max_steps=3) for n, before in enumerate(befores)]

    def spy(canvases: Any, ids: torch.Tensor, *others: Any) -> torch.Tensor:
        passes.append(len(ids))
        return denoise(canvases, ids, *others)

    monkeypatch.setattr(tiny_session.model, "denoise", spy)
    places = tuple(DraftPlace(before=before) for before in befores)
    events = draft(tiny_session, places=places, max_steps=3, early_stop=False)
    assert passes == [3, 3, 3]
    prefilled = [event for event in events if isinstance(event, Prefilled)]
    assert [(event.place, event.prompt) for event in prefilled] == list(enumerate(befores))
    texts = {event.place: event.text for event in events if isinstance(event, Finished)}
    assert [texts[n] for n in range(3)] == [finished_of(events).text for events in alone]


def test_each_place_of_a_batch_has_its_own_constraints(tiny_session: LocalEngine) -> None:
    """Pins, lengths and texts to begin from; the second has ended when the others go on to a second canvas,
    and the last is pinned throughout.
    """
    places = (
        DraftPlace(before="It rained", pins=(Pin(2, 40), Pin(9, 41)), min_tokens=20),
        DraftPlace(before="A much longer text than that one", length_tokens=5),
        DraftPlace(before="So", start_text="HELLO", renoise_share=0.4, length_tokens=18, min_tokens=18),
        DraftPlace(before="No", pins=tuple(Pin(n, 50 + n) for n in range(16)), length_tokens=16),
    )
    common: dict[str, Any] = {"canvases": 2, "max_steps": 4, "early_stop": False}
    together = draft(tiny_session, places=places, seed=3, **common)
    for number, place in enumerate(places):
        alone = draft(tiny_session, places=(place,), seed=3 + number, **common)
        ours = [event for event in together if getattr(event, "place", None) == number]
        assert [type(event) for event in ours] == [type(event) for event in alone]
        for event, expected in zip(ours, alone, strict=True):
            if isinstance(event, Frame) and isinstance(expected, Frame):
                assert (event.canvas, event.step, event.variant) == (expected.canvas, expected.step, 0)
                assert [(token.text, token.accepted, token.pinned) for token in event.tokens] == [
                    (token.text, token.accepted, token.pinned) for token in expected.tokens
                ]
                assert [token.entropy for token in event.tokens] == pytest.approx(
                    [token.entropy for token in expected.tokens], abs=2e-4
                )
            elif isinstance(event, Finished) and isinstance(expected, Finished):
                assert (event.text, event.stats.tokens, event.stats.steps) == (
                    expected.text,
                    expected.stats.tokens,
                    expected.stats.steps,
                )
    tokens = {event.place: event.stats.tokens for event in together if isinstance(event, Finished)}
    assert (tokens[1], tokens[2], tokens[3]) == (5, 18, 16)
    assert tokens[0] >= 20


def test_variants_are_counted_within_their_place_and_seeds_through_the_batch(
    tiny_session: LocalEngine,
) -> None:
    places = (DraftPlace(before="It rained"), DraftPlace(before="It snowed"))
    events = draft(tiny_session, places=places, variants=2, seed=5, max_steps=3)
    texts = {(event.place, event.variant): event.text for event in events if isinstance(event, Finished)}
    assert sorted(texts) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {(event.place, event.variant) for event in events if isinstance(event, Committed)} == set(texts)
    alone = draft(tiny_session, "It snowed", seed=5 + 3, max_steps=3)
    assert texts[1, 1] == finished_of(alone).text != texts[1, 0]
