"""The desk of the drafting tests, with its drafts looked over."""

import pytest
from hypothesis import strategies as st

from app.checks.draft_checks import DraftChecks
from tests.app.drafting.conftest import Desk, ScriptedEngine, engine, open_engine
from tests.app.drafting.conftest import desk as bare_desk

__all__ = ["bare_desk", "engine", "open_engine"]

SAYS = "He looked at the the sea, and it was was calm."

JUNK = st.text(
    st.one_of(
        st.sampled_from("1203“”„‘’‚«»\"'()[]{}-.!?,;: \n`aeTthe"),
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("שלוםعربيहिन्दीไทย中文あア한국어éß🦊👩‍👩‍👧\u0301\u200d"),
    ),
    max_size=120,
)


@pytest.fixture
def desk(bare_desk: Desk, engine: ScriptedEngine) -> Desk:
    engine.says = SAYS
    DraftChecks(bare_desk.page, bare_desk.drafts, bare_desk.settings)
    return bare_desk
