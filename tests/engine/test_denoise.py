"""The denoising loop on a model that is a table."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.denoise import Sampler, Step, denoise_canvas
from engine.sampling import Prediction

SIZE, VOCAB = 8, 11


class Table:
    """Says the same logits whatever it sees, and remembers what it was shown."""

    device = torch.device("cpu")
    canvas_tokens = SIZE
    vocab_size = VOCAB

    def __init__(self, logits: torch.Tensor) -> None:
        self._logits = logits
        self.canvases: list[torch.Tensor] = []
        self.soft: list[torch.Tensor | None] = []

    def denoise(self, cache: None, canvas: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:  # noqa: ARG002
        self.canvases.append(canvas.clone())
        self.soft.append(soft)
        return self._logits.clone()

    def soft_embedding(self, prediction: Prediction) -> torch.Tensor:
        return prediction.probabilities


def certain(rows: int = SIZE) -> torch.Tensor:
    """Position n says token n, the positions from `rows` on say nothing."""
    logits = torch.zeros(SIZE, VOCAB)
    logits[range(rows), range(rows)] = 30.0
    return logits


def run(table: Table, seed: int = 0, pins: dict[int, int] | None = None, **changes: Any) -> list[Step]:
    settings: dict[str, Any] = {"max_steps": 6, "t_min": 0.5, "t_max": 1.0, "entropy_bound": 0.1}
    settings |= {"stability_threshold": 1, "confidence_threshold": 0.01} | changes
    sampler = Sampler(**settings)
    return list(denoise_canvas(table, None, sampler, torch.Generator().manual_seed(seed), pins or {}))


def test_frame_zero_is_the_canvas_the_model_sees_first() -> None:
    table = Table(certain())
    steps = run(table, pins={2: 9})
    assert steps[0].number == 0
    assert torch.equal(steps[0].draft, table.canvases[0])
    assert steps[0].draft[2] == 9
    assert steps[0].accepted.tolist() == [n == 2 for n in range(SIZE)]


def test_a_stable_and_certain_draft_stops() -> None:
    steps = run(Table(certain()))
    assert [step.number for step in steps] == [0, 1, 2]
    assert [step.last for step in steps] == [False, False, True]
    assert steps[-1].draft.tolist() == list(range(SIZE))


def test_without_early_stop_all_steps_are_taken() -> None:
    assert run(Table(certain()), early_stop=False)[-1].number == 6


def test_an_uncertain_draft_takes_all_steps() -> None:
    steps = run(Table(certain(rows=4)))
    assert steps[-1].number == 6
    assert steps[-1].last


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


@given(st.dictionaries(st.integers(0, SIZE - 1), st.integers(0, VOCAB - 1)), st.integers(0, 99))
def test_pins_hold_in_every_canvas_and_draft(pins: dict[int, int], seed: int) -> None:
    table = Table(certain(rows=5))
    steps = run(table, seed, pins)
    for canvas in [*table.canvases, *(step.draft for step in steps)]:
        assert all(canvas[position] == token for position, token in pins.items())
    assert all(step.accepted[position] for step in steps for position in pins)


def test_a_canvas_that_is_pinned_throughout_is_finished_at_once() -> None:
    table = Table(certain())
    steps = run(table, pins=dict.fromkeys(range(SIZE), 3))
    assert [(step.number, step.last) for step in steps] == [(0, True)]
    assert steps[0].draft.tolist() == [3] * SIZE
    assert not table.canvases


def test_accepted_positions_are_kept_and_all_others_renoised() -> None:
    table = Table(certain(rows=4))
    run(table, early_stop=False)
    seen = torch.stack(table.canvases[1:])
    assert (seen[:, :4] == torch.arange(4)).all()
    assert len(set(seen[:, 4:].flatten().tolist())) > 4


def test_the_first_step_has_no_self_conditioning_and_the_others_have_the_probabilities() -> None:
    table = Table(certain())
    run(table, pins={0: 5}, early_stop=False)
    assert table.soft[0] is None
    for soft in table.soft[1:]:
        assert soft is not None
        assert soft[0].argmax() == 5
        torch.testing.assert_close(soft.sum(-1), torch.ones(SIZE))


def test_draws_depend_on_the_seed_alone() -> None:
    one, same, other, elsewhere = (Table(certain(rows=4)) for _ in range(4))
    all_accepted: dict[str, Any] = {"early_stop": False, "entropy_bound": 99.0}
    run(one, 7, **all_accepted)
    run(same, 7, **all_accepted)
    run(other, 8, **all_accepted)
    torch.manual_seed(1)
    run(elsewhere, 7, **all_accepted)
    assert torch.equal(torch.stack(one.canvases), torch.stack(same.canvases))
    assert torch.equal(torch.stack(one.canvases), torch.stack(elsewhere.canvases))
    assert not torch.equal(torch.stack(one.canvases), torch.stack(other.canvases))
