"""How fast a card is copied to, over a link that is made up and a clock that its copies move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from torch import Tensor

from engine.model import link_speed
from engine.model.expert_stream import STAGING_BYTES, STAGINGS
from engine.protocol.errors import FaultError
from engine.protocol.events import Device


class SlowLink:
    """A copy takes its time once somebody waits for it, or when STAGINGS of them are under way."""

    def __init__(self, bytes_per_s: float, first_s: float = 0.0) -> None:
        self._copy_s = STAGING_BYTES / bytes_per_s
        self.now_s = first_s
        self._under_way: list[object] = []
        self.copied = 0

    def empty(self, like: Tensor) -> Tensor:
        return like.clone()

    def copy(self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: Any) -> object:
        assert after is None
        assert [len(target) for target in targets] == [len(source) for source in sources]
        self.copied += sum(len(source) for source in sources)
        if len(self._under_way) == STAGINGS:
            self._end_first()
        event = object()
        self._under_way.append(event)
        return event

    def _end_first(self) -> None:
        self._under_way.pop(0)
        self.now_s += self._copy_s

    def wait(self, copied: Any) -> None: ...

    def finish(self, copied: Any) -> None:
        while copied in self._under_way:
            self._end_first()

    def computed(self) -> object:
        return object()

    def clock(self) -> float:
        return self.now_s


@pytest.mark.parametrize("bytes_per_s", [5e8, 3e9, 12.4e9, 60e9])
def test_a_link_is_as_fast_as_its_copies_and_takes_less_than_two_seconds(bytes_per_s: float) -> None:
    link = SlowLink(bytes_per_s)
    assert link_speed.measure_link(link, lambda: None, link.clock) == pytest.approx(bytes_per_s)
    assert link.now_s < 2
    assert link.copied > bytes_per_s


def test_a_link_that_stands_still_is_given_up_at_the_next_chunk() -> None:
    link, asked = SlowLink(1e9), 0

    def check_cancelled() -> None:
        nonlocal asked
        asked += 1
        if asked == 7:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        link_speed.measure_link(link, check_cancelled, link.clock)
    assert link.copied == 6 * STAGING_BYTES


@pytest.mark.parametrize("device_id", ["cpu", "mps", "xpu:0", "cuda:0+cuda:1"])
def test_what_is_no_single_card_is_told(device_id: str) -> None:
    device = Device(id=device_id, name="A device", total_bytes=0, free_bytes=0)
    with pytest.raises(FaultError, match="A device is no single CUDA card"):
        link_speed.measure_card(device)
