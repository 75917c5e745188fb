"""The denoising loop on models that are arithmetic, and beside the library's own step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import one_hot
from transformers.generation.logits_process import LogitsProcessorList
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationMixin,
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    LinearTemperatureScheduleLogitsProcessor,
    StableAndConfidentStoppingCriteria,
)

from engine.diffusion import sampling
from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.denoising import DenoisingStep, denoise_canvases
from engine.model.sampler_config import SamplerConfig
from engine.protocol.errors import FaultError
from tests.engine.diffusion.draws import CLOSE, Draws

SIZE, VOCAB = 8, 11
NOTHING = CanvasConstraints()

seeds = st.integers(0, 2**32)
pins_of_a_canvas = st.dictionaries(st.integers(0, SIZE - 1), st.integers(0, VOCAB - 1))
constraints_of_a_canvas = st.builds(
    CanvasConstraints,
    pins=pins_of_a_canvas | st.just(dict.fromkeys(range(SIZE), 3)),
    banned=st.sampled_from([(), (7, 8), (1,)]),
    banned_before=st.integers(0, SIZE),
)


class Rows:
    """A batch: which canvases are left."""

    def __init__(self, count: int, tokens: int = SIZE) -> None:
        self.left = list(range(count))
        self.tokens = tokens

    def narrow(self, indices: Tensor) -> None:
        self.left = [self.left[n] for n in indices.tolist()]


class Table:
    """Says base[canvas], and `of_ids` and `of_soft` times what it is shown. Remembers what that was."""

    device = torch.device("cpu")

    def __init__(self, base: Tensor, of_ids: Tensor | None = None, of_soft: float = 0.0) -> None:
        """base: (canvas, vocab), or (batch, canvas, vocab)"""
        self._base = base if base.dim() == 3 else base[None].expand(4, -1, -1)
        self.canvas_tokens, self.vocab_size = base.shape[-2:]
        self._of_ids, self._of_soft = of_ids, of_soft
        self.seen: list[dict[int, Tensor]] = []  # of each step: ids by canvas
        self.soft: list[dict[int, Tensor] | None] = []
        self.places: list[Tensor | None] = []

    def denoise(self, canvases: Rows, ids: Tensor, soft: Tensor | None, places: Tensor | None) -> Tensor:
        assert len(ids) == len(canvases.left)
        self.places.append(places)
        self.seen.append(dict(zip(canvases.left, ids.clone(), strict=True)))
        soft = None if soft is None else soft.view(len(ids), self.canvas_tokens, -1)
        self.soft.append(None if soft is None else dict(zip(canvases.left, soft.clone(), strict=True)))
        logits = self.logits(self._base[canvases.left], ids, soft).flatten(0, 1)
        return logits.contiguous() if places is None else logits[places]

    def logits(self, base: Tensor, ids: Tensor, soft: Tensor | None) -> Tensor:
        logits = base.clone()
        if self._of_ids is not None:
            logits += self._of_ids[ids]
        if soft is not None:
            logits += self._of_soft * soft.roll(1, dims=1)
        return logits

    def soft_embedding(self, draft: Tensor, spread: Tensor, probabilities: Tensor, rows: Tensor) -> Tensor:
        mean = one_hot(draft, self.vocab_size).float()
        mean[spread] = probabilities[rows]
        return mean


def certain(rows: int = SIZE) -> Tensor:
    """Position n says token n, the positions from `rows` on say nothing."""
    logits = torch.zeros(SIZE, VOCAB)
    logits[range(rows), range(rows)] = 30.0
    return logits


def settings(**changes: Any) -> SamplerConfig:
    values: dict[str, Any] = {"max_steps": 6, "t_min": 0.5, "t_max": 1.0, "entropy_bound": 0.1}
    values |= {"stability_threshold": 1, "confidence_threshold": 0.01}
    return SamplerConfig(**values | changes)


def run_batch(
    table: Table,
    seeds: Sequence[int],
    given: CanvasConstraints | Sequence[CanvasConstraints] = NOTHING,
    **changes: Any,
) -> list[DenoisingStep]:
    """given: of all canvases, or of each."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    each = [given] * len(seeds) if isinstance(given, CanvasConstraints) else given
    return list(
        denoise_canvases(table, Rows(len(seeds), table.canvas_tokens), settings(**changes), generators, each)
    )


def run(
    table: Table, seed: int = 0, pins: dict[int, int] | None = None, **changes: Any
) -> list[DenoisingStep]:
    return run_batch(table, [seed], CanvasConstraints(pins=pins or {}), **changes)


def canvases(table: Table, canvas: int = 0) -> list[Tensor]:
    return [seen[canvas] for seen in table.seen if canvas in seen]


def softs(table: Table, canvas: int = 0) -> list[Tensor]:
    return [soft[canvas] for soft in table.soft if soft is not None and canvas in soft]


# ------------------------------------------------------------------ noise, steps and the end


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


# ------------------------------------------------------------------ pins


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


# ------------------------------------------------------------------ banned tokens


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


# ------------------------------------------------------------------ draws


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
    other._base = other._base + torch.arange(VOCAB) * 0.01
    run(one, 7, entropy_bound=0.0, early_stop=False)
    steps = run(other, 7, entropy_bound=0.0, early_stop=False)
    for step, ours, theirs in zip(steps[1:], canvases(one)[1:], canvases(other)[1:], strict=False):
        assert torch.equal(ours[~step.accepted], theirs[~step.accepted])


# ------------------------------------------------------------------ batches


def model_of(seed: int, count: int, quantised: bool) -> Table:
    """Canvases that settle at different steps; quantised: logits with ties."""
    generator = torch.Generator().manual_seed(seed)
    sharpness = torch.linspace(3.0, 14.0, count)[torch.randperm(count, generator=generator), None, None]
    base = torch.randn(count, SIZE, VOCAB, generator=generator) * sharpness
    of_ids = torch.randn(VOCAB, VOCAB, generator=generator)
    if quantised:
        return Table(base.round(), of_ids.round())
    return Table(base, of_ids, of_soft=3.0)


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
        alone._base = alone._base[canvas : canvas + 1]
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


# ------------------------------------------------------------------ what is no number


@pytest.mark.parametrize("canvas", [0, 2])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(bad: float, canvas: int) -> None:
    logits = torch.stack((certain(), certain(), certain()))
    logits[canvas, 3, slice(None) if bad == -math.inf else 4] = bad
    with pytest.raises(FaultError) as caught:
        run_batch(Table(logits), [0, 1, 2])
    assert caught.value.fault.kind == "output"
    assert caught.value.fault.remedy


def test_where_a_pin_stands_the_output_does_not_matter() -> None:
    logits = certain()
    logits[3] = -math.inf
    assert run(Table(logits), pins={3: 3})[-1].draft.tolist() == list(range(SIZE))


# ------------------------------------------------------------------ beside the library's step


class Library:
    """Its own step in its own order, on a table; the draws are ours."""

    def __init__(self, table: Table, sampler: SamplerConfig, draws: Draws, count: int) -> None:
        self._table, self._max_steps = table, sampler.max_steps
        size, vocab = table.canvas_tokens, table.vocab_size
        self.draws = draws
        self.sampler: Any = EntropyBoundSampler(
            EntropyBoundSamplerConfig(sampler.entropy_bound), size, vocab, sampler.max_steps
        )
        self._bound, self._confidence = sampler.entropy_bound, sampler.confidence_threshold
        self._schedule = LinearTemperatureScheduleLogitsProcessor(
            sampler.t_min, sampler.t_max, sampler.max_steps
        )
        self._stopping = StableAndConfidentStoppingCriteria(
            sampler.stability_threshold, sampler.confidence_threshold
        )
        self._model: Any = SimpleNamespace(
            config=SimpleNamespace(text_config=SimpleNamespace(vocab_size=vocab)),
            model=SimpleNamespace(
                decoder=SimpleNamespace(embed_tokens=SimpleNamespace(weight=torch.zeros(1)))
            ),
        )
        self._base = table._base[:count]
        self.finished = torch.zeros(count, dtype=torch.bool)
        with draws.instead_of_torch():
            self.canvas = self.argmax = self.sampler.initialize_canvas(count, torch.device("cpu"))
        self._scores: Tensor | None = None

    def _decode(self, decoder_input_ids: Tensor, self_conditioning_logits: Tensor | None, **_: object) -> Any:
        soft = None if self_conditioning_logits is None else self_conditioning_logits.softmax(-1)
        return SimpleNamespace(logits=self._table.logits(self._base, decoder_input_ids, soft))

    def step(self, steps_left: int) -> None:
        with self.draws.instead_of_torch():
            self.canvas, self.argmax, self._scores, self.finished = (
                DiffusionGemmaGenerationMixin._denoising_step(
                    self._model,
                    decoder_forward=self._decode,
                    current_canvas=self.canvas,
                    argmax_canvas=self.argmax,
                    input_ids=self.canvas,
                    decoder_position_ids=self.canvas,
                    self_conditioning_logits=self._scores,  # type: ignore[arg-type]
                    mask_mapping={},
                    past_key_values=None,  # type: ignore[arg-type]
                    finished_denoising=self.finished,
                    cur_step=steps_left,
                    sampler=self.sampler,
                    logits_processor=LogitsProcessorList([self._schedule]),
                    diffusion_stopping_criteria=self._stopping,
                )
            )

    @property
    def undecided(self) -> bool:
        """Whether a difference in the last bits could have decided otherwise."""
        assert self._scores is not None
        exact: Any = torch.distributions.Categorical(logits=self._scores.double())
        ascending = exact.entropy().sort().values
        sums = ascending.cumsum(-1) - ascending
        within = sums <= self._bound
        at_bound = within[:, :-1] & ~within[:, 1:]
        best = self._scores.double().topk(2).values
        gap = best[..., 0] - best[..., 1]
        return bool(
            ((sums - self._bound).abs() < CLOSE).any()
            | ((exact.entropy().mean(-1) - self._confidence).abs() < CLOSE).any()
            | (at_bound & (ascending.diff() < CLOSE)).any()
            | ((gap < CLOSE) & (gap > 0)).any()
            | (self.draws.close & self.sampler.accepted_token_mask).any()
        )


def assert_a_run_is_the_librarys(table: Table, batch: list[int], sampler: SamplerConfig) -> bool:
    """False where a difference in the last bits could decide: from there on there is nothing to compare."""
    generators = [torch.Generator().manual_seed(seed) for seed in batch]
    steps = list(
        denoise_canvases(
            table, Rows(len(batch), table.canvas_tokens), sampler, generators, [NOTHING] * len(batch)
        )
    )
    theirs = Library(table, sampler, Draws(batch, table.canvas_tokens, table.vocab_size), len(batch))
    for number in range(1, sampler.max_steps + 1):
        going = (~theirs.finished).nonzero().squeeze(-1).tolist()
        assert list(table.seen[number - 1]) == going
        for canvas in going:
            assert torch.equal(table.seen[number - 1][canvas], theirs.canvas[canvas])
        theirs.step(sampler.max_steps - number + 1)
        if theirs.undecided:
            return False
        shown = [step for step in steps if step.number == number]
        assert [step.canvas for step in shown] == going
        for step in shown:
            assert torch.equal(step.draft, theirs.argmax[step.canvas])
            assert torch.equal(step.accepted, theirs.sampler.accepted_token_mask[step.canvas])
            assert step.last == (bool(theirs.finished[step.canvas]) or number == sampler.max_steps)
        if theirs.finished.all():
            break
    assert len(table.seen) == number
    return True


@hypothesis_settings(max_examples=60)
@given(
    st.lists(seeds, min_size=1, max_size=3, unique=True),
    seeds,
    st.booleans(),
    st.floats(0.01, 2.0),
    st.sampled_from([0.05, 0.3, 1.0]),
    st.integers(0, 3),
    st.sampled_from([(0.4, 0.8), (0.05, 3.0)]),
)
def test_a_run_is_the_librarys_step_by_step(
    batch: list[int],
    seed: int,
    quantised: bool,
    bound: float,
    confidence: float,
    stability: int,
    temperatures: tuple[float, float],
) -> None:
    """Canvases, drafts, accepted sets and ends, with self-conditioning carried over."""
    table = model_of(seed, len(batch), quantised)
    sampler = SamplerConfig(10, *temperatures, bound, stability, confidence)
    assume(assert_a_run_is_the_librarys(table, batch, sampler))


def test_a_run_over_gemmas_vocabulary_is_the_librarys() -> None:
    size, vocab = 4, 262_144
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(2, size, vocab, generator=generator)
    likely = torch.randint(vocab, (2, size, 3), generator=generator)
    base.scatter_(-1, likely, 17 + 2 * torch.randn(2, size, 3, generator=generator))
    sampler = SamplerConfig(4, 0.4, 1.4, 1.0, 1, 0.7)
    table = Table(base, of_soft=4.0)
    with patch.object(sampling, "CACHE_BYTES", 3 * vocab * 4):
        assert assert_a_run_is_the_librarys(table, [3, 4], sampler)
    assert [list(seen) for seen in table.seen] == [[0, 1], [0, 1], [0, 1], [0]]
