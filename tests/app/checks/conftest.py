"""The desk of the drafting tests, with its drafts looked over."""

import pytest

from app.checks.draft_checks import DraftChecks
from tests.app.drafting.conftest import Desk, ScriptedEngine, engine, open_engine
from tests.app.drafting.conftest import desk as bare_desk

__all__ = ["bare_desk", "engine", "open_engine"]

SAYS = "He looked at the the sea, and it was was calm."


@pytest.fixture
def desk(bare_desk: Desk, engine: ScriptedEngine) -> Desk:
    engine.says = SAYS
    DraftChecks(bare_desk.drafts, bare_desk.settings)
    return bare_desk
