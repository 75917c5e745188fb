"""A cancel is seen wherever the engine looks for one, and leaves it as it was."""

from __future__ import annotations

import threading

import pytest

from engine.protocol.events import Cancelled, Finished
from engine.runtime.local_engine import LocalEngine
from tests.engine.conftest import draft, load
from tests.engine.runtime.conftest import frames_of
from tests.fakes import draft_request

BEFORE = "It rained all day long. "


class CancelledAtACheck(threading.Event):
    """Is found set at that check and all later ones."""

    def __init__(self, number: int | None) -> None:
        super().__init__()
        self.checks = 0
        self._number = number

    def is_set(self) -> bool:
        self.checks += 1
        return self._number is not None and self.checks > self._number


@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_a_cancel_at_any_check_ends_the_draft_and_leaves_the_engine_usable(
    tiny_folder: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt of several blocks and two steps, the means over the vocabulary taken as over a large one."""
    monkeypatch.setenv("MEZZOTINT_BF16", "0")
    monkeypatch.setattr("engine.model.soft_embedding.LARGE_VOCAB", 64)
    engine = LocalEngine()
    load(engine, model=str(tiny_folder), precision=precision)
    engine.model.prefill_tokens = 8
    request = draft_request("d", BEFORE, max_steps=2)
    expected = [frame.tokens for frame in frames_of(draft(engine, BEFORE, max_steps=2))]

    draft(engine, "Q", max_steps=1)  # nothing of the text has been read then
    never = CancelledAtACheck(None)
    assert isinstance([*engine.draft(request, never)][-1], Finished)
    draft(engine, "Q", max_steps=1)
    text = engine.model.text_model.config.text_config
    linear = 8 * text.num_hidden_layers
    blocks, steps = 4, 2
    assert never.checks > (blocks + steps) * (linear + text.num_hidden_layers)
    for number in range(never.checks):
        assert isinstance([*engine.draft(request, CancelledAtACheck(number))][-1], Cancelled)
        if number % 9 == 0:
            again = draft(engine, BEFORE, max_steps=2)
            assert [frame.tokens for frame in frames_of(again)] == expected
        draft(engine, "Q", max_steps=1)
