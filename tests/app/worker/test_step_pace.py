"""Steps that take much longer than they should, by step times that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from app.worker.step_pace import FEW, Slowdown, StepPace, fills_card, planned_step_s
from engine.protocol.events import Device, Ready, Token
from tests import fakes

GIB = 2**30
CARD = Device(id="cuda:0", name="RTX 3060", total_bytes=12 * GIB, free_bytes=11 * GIB, uuid="GPU-1")


@dataclass
class Steps:
    """Canvas after canvas, a first step that takes long before the others."""

    pace: StepPace = field(default_factory=StepPace)
    canvases: int = 0

    def take(
        self, seconds: Sequence[float], *, drafts: int = 1, tokens: int = 256, planned_s: float = 0.0
    ) -> list[Slowdown | None]:
        self.canvases += 1
        elapsed_s, told = 60.0, []
        given = (Token("a", 0.0, True, False),) * tokens
        for step, each in enumerate((0.0, 0.0, *seconds)):
            elapsed_s += each
            frame = fakes.frame(f"{self.canvases}", step)
            frame = msgspec.structs.replace(frame, tokens=given, elapsed_s=elapsed_s if step else 0.0)
            told.append(self.pace.note(frame, drafts, planned_s))
        return told[2:]


def test_steps_that_keep_their_pace_are_well() -> None:
    steps = Steps()
    for _ in range(3):
        assert not any(steps.take([1.0, 1.4, 0.8, 1.9, 1.0, 1.1, 1.2, 0.9]))


def test_a_median_of_twice_the_first_steps_is_a_slowdown() -> None:
    steps = Steps()
    steps.take([1.0] * FEW)
    assert not any(steps.take([1.9] * 3 * FEW))
    told = steps.take([2.2] * FEW)[-1]
    assert told
    assert [told.step_s, told.planned_s] == pytest.approx([2.2, 1.0])


def test_a_few_slow_steps_are_none() -> None:
    steps = Steps()
    steps.take([1.0] * FEW)
    assert not any(steps.take([9.0, 9.0, 1.0, 1.0, 1.0, 9.0, 1.0, 9.0, 1.0]))


def test_what_is_slow_from_the_first_step_on_is_told_by_the_link() -> None:
    assert not any(Steps().take([2.5] * 3 * FEW))
    told = Steps().take([2.5] * FEW, planned_s=1.0)
    assert told[:-1] == [None] * (FEW - 1)
    last = told[-1]
    assert last
    assert [last.step_s, last.planned_s] == pytest.approx([2.5, 1.0])
    assert not any(Steps().take([1.9] * 3 * FEW, planned_s=1.0))


def test_quick_steps_are_well_whatever_they_were_before() -> None:
    steps = Steps()
    steps.take([0.05] * FEW)
    assert not any(steps.take([0.24] * 3 * FEW))
    assert steps.take([0.26] * FEW)[-1]


def test_steps_of_another_kind_are_not_compared() -> None:
    steps = Steps()
    steps.take([1.0] * FEW)
    assert not any(steps.take([3.0] * 3 * FEW, drafts=4))
    assert not any(steps.take([3.0] * 3 * FEW, tokens=64))
    assert not any(Steps().take([3.0] * 3 * FEW, drafts=2, planned_s=1.0))
    assert steps.take([3.0] * FEW)[-1]


def test_frames_that_were_left_out_and_those_of_other_drafts_change_nothing() -> None:
    pace = StepPace()
    steps = [1, 2, 4, 5, 7, 8, 12]

    def note(step: int, variant: int = 0, place: int = 0) -> Slowdown | None:
        frame = fakes.frame("1", step, variant, place)
        return pace.note(msgspec.structs.replace(frame, elapsed_s=float(step)), 2, 0.6)

    told = [note(step, variant, place) for step in steps for variant, place in ((0, 0), (1, 0), (0, 1))]
    assert not any(told)


def loaded(memory_gib: float, streamed_gib: float = 0.0, device: Device = CARD) -> Ready:
    held = {"memory_bytes": round(memory_gib * GIB), "streamed_bytes": round(streamed_gib * GIB)}
    return msgspec.structs.replace(fakes.ready("1"), device=device, **held)


def test_only_a_model_that_fills_a_card_makes_its_driver_move_memory() -> None:
    assert fills_card(loaded(16, 9))
    assert fills_card(loaded(7))
    assert not fills_card(loaded(5))
    assert not fills_card(loaded(16, device=msgspec.structs.replace(CARD, uuid="", id="cpu")))


def test_a_step_is_planned_by_the_link_where_that_is_the_limit() -> None:
    assert planned_step_s(loaded(16, 11), 11 * GIB) == 1.0
    assert planned_step_s(loaded(16, 4), 11 * GIB) == 0.0  # the card's own work may take longer
    assert planned_step_s(loaded(16, 11), 0) == 0.0
