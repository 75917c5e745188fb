"""The denoising loop on models that are arithmetic."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import one_hot

from engine.diffusion.constraints import CanvasConstraints
from engine.protocol.errors import FaultError
from tests.engine.diffusion.tables import (
    SIZE,
    VOCAB,
    Table,
    canvases,
    certain,
    constraints_of_a_canvas,
    model_of,
    pins_of_a_canvas,
    run,
    run_batch,
    seeds,
    softs,
)


def test_frame_zero_is_the_canvas_the_model_sees_first() -> None:
    table = Table(certain())
    steps = run_batch(table, [0, 1, 2], CanvasConstraints(pins={2: 9}))
    for canvas, step in enumerate(steps[:3]):
        assert (step.canvas, step.number, step.last) == (canvas, 0, False)
        assert torch.equal(step.draft, table.seen[0][canvas])
        assert step.draft[2] == 9
        assert step.accepted.tolist() == [n == 2 for n in range(SIZE)]
        assert step.entropy.tolist() == pytest.approx([0 if n == 2 else math.log(VOCAB) for n in range(SIZE)])
    assert len({tuple(step.draft.tolist()) for step in steps[:3]}) == 3


def test_noise_is_of_all_tokens() -> None:
    table = Table(torch.zeros(SIZE, VOCAB))
    run(table, max_steps=60, early_stop=False)
    assert set(torch.stack(canvases(table)).flatten().tolist()) == set(range(VOCAB))


def test_a_stable_and_certain_draft_stops() -> None:
    steps = run(Table(certain()))
    assert [step.number for step in steps] == [0, 1, 2]
    assert [step.last for step in steps] == [False, False, True]
    assert steps[-1].draft.tolist() == list(range(SIZE))


def test_without_early_stop_all_steps_are_taken() -> None:
    steps = run(Table(certain()), early_stop=False)
    assert [step.number for step in steps] == [0, 1, 2, 3, 4, 5, 6]
    assert [step.last for step in steps] == [False] * 6 + [True]


def test_an_uncertain_draft_takes_all_steps() -> None:
    steps = run(Table(certain(rows=4)))
    assert steps[-1].number == 6
    assert steps[-1].last


def test_the_first_step_has_no_self_conditioning_and_the_others_have_the_distribution() -> None:
    """At the temperature of the step before; where a token is all but certain, that token alone."""
    logits = certain(rows=5) + torch.randn(SIZE, VOCAB, generator=torch.Generator().manual_seed(0))
    table = Table(logits)
    run(table, pins={0: 5, 6: 1}, early_stop=False)
    assert table.soft[0] is None
    for number, soft in enumerate(softs(table), start=1):
        expected = (logits / (0.5 + 0.5 * (7 - number) / 6)).softmax(-1)
        expected[[0, 6]] = one_hot(torch.tensor([5, 1]), VOCAB).float()
        torch.testing.assert_close(soft, expected, rtol=1e-5, atol=1e-6)
        assert soft[[0, 6]].tolist() == expected[[0, 6]].tolist()


def test_a_certain_position_that_was_not_accepted_is_carried_over_like_any_other() -> None:
    """No budget: one position is accepted, the others are renoised."""
    logits = certain() * 0.7
    table = Table(logits)
    steps = run(table, entropy_bound=0.0, t_min=0.999, early_stop=False)
    assert all(0 < step.entropy.max() < 1e-5 for step in steps[1:])
    assert all(step.accepted.sum() == 1 for step in steps[1:])
    for soft in softs(table):
        torch.testing.assert_close(soft, logits.softmax(-1), rtol=0, atol=1e-6)


@given(st.dictionaries(st.integers(0, SIZE - 1), st.integers(0, VOCAB - 1)), pins_of_a_canvas, seeds)
def test_what_is_refused_never_comes(refused: dict[int, int], pins: dict[int, int], seed: int) -> None:
    """Though the model wants nothing else there; elsewhere the same token may come."""
    refused = {position: token for position, token in refused.items() if position not in pins}
    logits = torch.zeros(SIZE, VOCAB)
    for position, token in refused.items():
        logits[position, token] = 30.0
    table = Table(logits)
    steps = run_batch(table, [seed], CanvasConstraints(pins=pins, refused=refused), entropy_bound=99.0)
    for ids in [*canvases(table)[1:], *(step.draft for step in steps[1:])]:
        assert not any(ids[position] == token for position, token in refused.items())
        assert all(ids[position] == token for position, token in pins.items())


def test_accepted_positions_are_sampled_and_all_others_renoised() -> None:
    table = Table(certain(rows=4))
    steps = run(table, max_steps=40, early_stop=False)
    assert all(step.accepted[:4].all() for step in steps[1:])
    assert all(step.accepted[4:].sum() == 1 for step in steps[1:])
    seen = torch.stack(canvases(table)[1:])
    assert (seen[:, :4] == torch.arange(4)).all()
    assert set(seen[:, 4:].flatten().tolist()) == set(range(VOCAB))


def test_an_even_sweep_of_numbers_draws_each_token_as_often_as_it_is_likely() -> None:
    """Four equal tokens at eight positions, so all edges between them are met exactly."""
    logits = torch.full((SIZE, VOCAB), -math.inf)
    logits[:, [1, 2, 4, 5]] = 0.0
    table = Table(logits)
    sweep = torch.arange(SIZE) * 2**21

    def randint(high: int, *_arguments: object, **_named: object) -> Tensor:
        return sweep if high == 2**24 else torch.zeros(SIZE, dtype=torch.long)

    with patch.object(torch, "randint", randint):
        run(table, entropy_bound=99.0, max_steps=3, early_stop=False)
    assert [ids.tolist() for ids in canvases(table)[1:]] == [[1, 1, 2, 2, 4, 4, 5, 5]] * 2


def test_draws_depend_on_the_seed_alone() -> None:
    one, same, other, elsewhere = (Table(certain(rows=4)) for _ in range(4))
    all_accepted: dict[str, Any] = {"early_stop": False, "entropy_bound": 99.0}
    run(one, 7, **all_accepted)
    run(same, 7, **all_accepted)
    run(other, 8, **all_accepted)
    torch.manual_seed(1)
    run(elsewhere, 7, **all_accepted)
    assert torch.equal(torch.stack(canvases(one)), torch.stack(canvases(same)))
    assert torch.equal(torch.stack(canvases(one)), torch.stack(canvases(elsewhere)))
    assert not torch.equal(torch.stack(canvases(one)), torch.stack(canvases(other)))


def test_noise_does_not_depend_on_what_the_model_says() -> None:
    one, other = Table(torch.zeros(SIZE, VOCAB)), Table(torch.zeros(SIZE, VOCAB))
    other.base = other.base + torch.arange(VOCAB) * 0.01
    run(one, 7, entropy_bound=0.0, early_stop=False)
    steps = run(other, 7, entropy_bound=0.0, early_stop=False)
    for step, ours, theirs in zip(steps[1:], canvases(one)[1:], canvases(other)[1:], strict=False):
        assert torch.equal(ours[~step.accepted], theirs[~step.accepted])


@hypothesis_settings(max_examples=60)
@given(
    st.lists(seeds, min_size=1, max_size=4, unique=True),
    seeds,
    st.lists(constraints_of_a_canvas, min_size=4, max_size=4),
    st.booleans(),
    st.floats(0.01, 2.0),
    st.sampled_from([0.05, 0.3]),
    st.integers(0, 3),
)
def test_each_canvas_of_a_batch_is_as_it_is_alone(
    batch: list[int],
    seed: int,
    given: list[CanvasConstraints],
    quantised: bool,
    bound: float,
    confidence: float,
    stability: int,
) -> None:
    """Whatever the others are given, and whichever of them have finished."""
    changes: dict[str, Any] = {
        "max_steps": 12,
        "entropy_bound": bound,
        "confidence_threshold": confidence,
        "stability_threshold": stability,
    }
    together = model_of(seed, len(batch), quantised)
    steps = run_batch(together, batch, given[: len(batch)], **changes)
    for canvas, own in enumerate(batch):
        alone = model_of(seed, len(batch), quantised)
        alone.base = alone.base[canvas : canvas + 1]
        expected = run_batch(alone, [own], given[canvas], **changes)
        ours = [step for step in steps if step.canvas == canvas]
        assert [step.number for step in ours] == [step.number for step in expected]
        assert [step.last for step in ours] == [step.last for step in expected]
        for step, other in zip(ours, expected, strict=True):
            assert torch.equal(step.draft, other.draft)
            assert torch.equal(step.entropy, other.entropy)
            assert torch.equal(step.accepted, other.accepted)
        assert torch.equal(
            torch.stack([step.draft, *canvases(together, canvas)]),
            torch.stack([step.draft, *canvases(alone)]),
        )
        for soft, other_soft in zip(softs(together, canvas), softs(alone), strict=True):
            assert torch.equal(soft, other_soft)


def test_a_finished_canvas_stops_costing() -> None:
    """The middle one is never certain, the others are at once."""
    table = Table(torch.stack((certain(), certain(rows=4), certain())))
    steps = run_batch(table, [0, 1, 2])
    assert [len(seen) for seen in table.seen] == [3, 3, 1, 1, 1, 1]
    assert [list(seen) for seen in table.seen][2:] == [[1]] * 4
    ends = {step.canvas: step.number for step in steps if step.last}
    assert ends == {0: 2, 1: 6, 2: 2}


@pytest.mark.parametrize("canvas", [0, 2])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(bad: float, canvas: int) -> None:
    logits = torch.stack((certain(), certain(), certain()))
    logits[canvas, 3, slice(None) if bad == -math.inf else 4] = bad
    with pytest.raises(FaultError) as caught:
        run_batch(Table(logits), [0, 1, 2])
    assert caught.value.fault.kind == "output"
    assert caught.value.fault.remedy
