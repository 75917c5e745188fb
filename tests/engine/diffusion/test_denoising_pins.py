"""Pinned and banned tokens hold in every canvas of a batch."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion import sampling
from engine.diffusion.constraints import CanvasConstraints
from tests.engine.diffusion.tables import SIZE, VOCAB, Table, certain, pins_of_a_canvas, run, run_batch, seeds


@given(pins_of_a_canvas, seeds, st.integers(1, 3))
def test_pins_hold_in_every_canvas_and_draft(pins: dict[int, int], seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    table = Table(torch.randn(count, SIZE, VOCAB, generator=generator) * 9)
    steps = run_batch(
        table, range(count), CanvasConstraints(pins=pins), entropy_bound=1.0, confidence_threshold=0.3
    )
    for ids in [*(ids for seen in table.seen for ids in seen.values()), *(step.draft for step in steps)]:
        assert all(ids[position] == token for position, token in pins.items())
    assert all(step.accepted[position] for step in steps for position in pins)
    assert all(step.entropy[position] == 0 for step in steps for position in pins)


@given(st.integers(1, SIZE - 1), seeds, st.floats(0.0, 4.0))
def test_pins_are_free_of_entropy_budget(pins: int, seed: int, bound: float) -> None:
    logits = torch.randn(SIZE, VOCAB, generator=torch.Generator().manual_seed(seed)) * 4
    steps = run(Table(logits), pins=dict.fromkeys(range(pins), 3), entropy_bound=bound, early_stop=False)
    for step in steps[1:]:
        assert torch.equal(step.accepted[pins:], sampling.accept(step.entropy[pins:], bound))


def test_the_stop_rule_looks_at_free_positions_only() -> None:
    """Half the canvas is pinned: averaged over all positions the entropy would be below the threshold."""
    logits = certain()
    logits[7] = 0.0
    logits[7, 7] = 5.0
    free: Any = torch.distributions.Categorical(logits=logits[4:])
    mean_of_free = float(free.entropy().mean())
    pins = {n: n for n in range(4)}
    threshold = mean_of_free * 0.75
    changes: dict[str, Any] = {"t_min": 0.999, "confidence_threshold": threshold, "entropy_bound": 9.0}
    assert mean_of_free / 2 < threshold
    assert run(Table(logits), pins=pins, **changes)[-1].number == 6
    changes["confidence_threshold"] = mean_of_free * 1.1
    assert run(Table(logits), pins=pins, **changes)[-1].number == 2


def test_a_canvas_that_is_pinned_throughout_is_finished_at_once() -> None:
    table = Table(certain())
    steps = run_batch(table, [1, 2], CanvasConstraints(pins=dict.fromkeys(range(SIZE), 3)))
    assert [(step.canvas, step.number, step.last) for step in steps] == [(0, 0, True), (1, 0, True)]
    assert all(step.draft.tolist() == [3] * SIZE for step in steps)
    assert not table.seen


def test_the_others_go_on_without_what_is_pinned_throughout() -> None:
    throughout = CanvasConstraints(pins=dict.fromkeys(range(SIZE), 3))
    table = Table(certain())
    steps = run_batch(table, [1, 2, 3], [throughout, CanvasConstraints(pins={1: 9}), throughout])
    assert [(step.canvas, step.number) for step in steps if step.last] == [(0, 0), (2, 0), (1, 2)]
    assert [list(seen) for seen in table.seen] == [[1], [1]]
    assert steps[-1].draft.tolist() == [0, 9, 2, 3, 4, 5, 6, 7]


@given(st.sets(st.integers(0, VOCAB - 1), min_size=1, max_size=5), st.integers(0, SIZE), seeds)
def test_banned_tokens_are_drawn_only_where_they_may(banned: set[int], before: int, seed: int) -> None:
    """The model wants them everywhere, and nothing else at all."""
    logits = torch.full((2, SIZE, VOCAB), -1000.0)
    logits[..., list(banned)] = 20.0
    table = Table(logits)
    given = CanvasConstraints(banned=banned, banned_before=before)
    steps = run_batch(table, [seed, seed + 1], given, entropy_bound=99.0, early_stop=False)
    for step in steps[2:]:
        assert not any(token in banned for token in step.draft[:before].tolist())
        assert all(token in banned for token in step.draft[before:].tolist())
    for seen in table.seen[1:]:  # all positions are accepted
        for ids in seen.values():
            assert not any(token in banned for token in ids[:before].tolist())
            assert all(token in banned for token in ids[before:].tolist())


def test_a_pin_stands_though_its_token_is_banned() -> None:
    given = CanvasConstraints(pins={1: 4}, banned=[4], banned_before=SIZE)
    steps = run_batch(Table(certain()), [0], given)
    assert all(step.draft[1] == 4 for step in steps)
    assert steps[-1].draft[4] != 4


@given(st.lists(pins_of_a_canvas, min_size=1, max_size=3), seeds)
def test_pinned_positions_are_not_predicted(pins: list[dict[int, int]], seed: int) -> None:
    """Of those canvases that go on, the free positions, in order."""
    table = Table(torch.randn(SIZE, VOCAB, generator=torch.Generator().manual_seed(seed)) * 9)
    run_batch(table, range(len(pins)), [CanvasConstraints(pins=each) for each in pins])
    for seen, places in zip(table.seen, table.places, strict=True):
        rows = [
            row * SIZE + n for row, canvas in enumerate(seen) for n in range(SIZE) if n not in pins[canvas]
        ]
        assert (list(range(len(seen) * SIZE)) if places is None else places.tolist()) == rows


def test_where_a_pin_stands_the_output_does_not_matter() -> None:
    logits = certain()
    logits[3] = -math.inf
    assert run(Table(logits), pins={3: 3})[-1].draft.tolist() == list(range(SIZE))
