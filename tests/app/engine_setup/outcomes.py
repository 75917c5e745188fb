"""What a try to set up has come to."""

from __future__ import annotations

import threading

from app.engine_setup.home import EngineHome
from app.engine_setup.messages import Progress
from engine.installation import python_of
from tests.app.engine_setup.conftest import Machine
from tests.app.engine_setup.parts import try_tiny


def left_over(home: EngineHome) -> list[str]:
    """What is in the home besides the environment in use."""
    usual = {"active.json", "set-up.lock", home.active.name if home.active else ""}
    return sorted({file.name for file in home.folder.iterdir()} - usual)


def failure(machine: Machine) -> str:
    """The kind of fault that a try ends with."""
    ended = machine()
    assert not ended.done
    assert ended.fault
    assert ended.fault.message.rstrip()[-1] not in ":,"  # it says why
    assert ended.fault.remedy
    return ended.fault.kind


def drafts(home: EngineHome) -> bool:
    if home.active is None:
        return False
    try_tiny(python_of(home.active), threading.Event())
    return True


def told(machine: Machine, stage: str) -> list[Progress]:
    """What was reported of that stage."""
    return [one for one in machine.reports if isinstance(one, Progress) and one.stage == stage]
