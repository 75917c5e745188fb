"""An engine in a child process, and what the events of a load or a draft come to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.protocol.events import DraftEvent, Failed, Finished, Frame
from engine.runtime.process_engine import ProcessEngine
from tests import fakes

BEFORE = "Dear Anna,\n\nThank you for your letter."


def frames_of(events: list[DraftEvent]) -> list[Frame]:
    return [event for event in events if isinstance(event, Frame)]


def finished_of(events: list[DraftEvent]) -> Finished:
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def failed_of(events: list[Any]) -> Failed:
    assert isinstance(events[-1], Failed), events[-1]
    assert events[-1].message
    return events[-1]


def text_of(frame: Frame) -> str:
    return "".join(token.text for token in frame.tokens)


@pytest.fixture
def engine() -> Iterator[ProcessEngine]:
    engine = ProcessEngine(fakes.COMMAND)
    yield engine
    engine.close()
