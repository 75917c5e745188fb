"""What is told of a set-up's progress."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from app.engine_setup.lock import PYTHON, Lock
from app.engine_setup.messages import Progress, Stage
from app.engine_setup.plan import Plans, SetUpPlan
from app.engine_setup.ui.texts import paused_text, plan_text, progress_text, share_of
from app.models.download_rate import DownloadRate


def test_the_line_never_goes_back() -> None:
    """reading stands in place of downloading."""
    stages: list[Stage] = [stage for stage in get_args(Stage) if stage != "reading"]
    steps = [Progress(stage=stage, done_bytes=done, total_bytes=10) for stage in stages for done in range(11)]
    shares = [round(share_of(step), 9) for step in steps]
    assert all(before <= after for before, after in pairwise(shares))
    assert shares[0] == 0
    assert shares[-1] < 1
    assert share_of(Progress(stage="reading")) == share_of(Progress(stage="downloading"))
    for stage in ("verifying", "python", "downloading", "installing"):
        half = Progress(stage=stage, done_bytes=5, total_bytes=10)
        assert share_of(half) > share_of(Progress(stage=stage))


@pytest.mark.parametrize(("stage", "name"), [("python", "Python 3.11"), ("downloading", "torch")])
def test_what_is_being_fetched_its_bytes_and_the_time_left_are_told(stage: Stage, name: str) -> None:
    rate = DownloadRate()
    progress = Progress(stage=stage, name=name, done_bytes=20_000_000, total_bytes=30_000_000)
    first, second = progress_text(progress, rate, "").split("\n")
    assert "20\xa0MB of 30\xa0MB" in first
    assert second == name
    rate.update(0.0, 0)
    rate.update(1.0, 100_000)
    second = progress_text(progress, rate, "").split("\n")[1].replace("\xa0", " ")
    assert second == f"About 2 minutes left · {name}"


@pytest.mark.parametrize(
    ("mirror", "host"), [("", "releases.astral.sh"), ("https://mirror.example/python", "mirror.example")]
)
def test_where_python_comes_from_is_told_before(tmp_path: Path, mirror: str, host: str) -> None:
    plan = SetUpPlan("cpu", Lock(PYTHON, (), ""))
    told = plan_text(
        plan, Plans("cpu", "", {"cpu": plan}, False, 10**10), tmp_path, "", mirror, is_here=False
    )
    assert host in told
    assert ("releases.astral.sh" in told) is (not mirror)


def test_without_a_total_no_bytes_are_told() -> None:
    assert "of" not in progress_text(Progress(stage="python"), DownloadRate(), "").split()


def test_a_stage_that_fetches_nothing_names_nothing() -> None:
    installing = Progress(stage="installing", name="torch", done_bytes=1, total_bytes=2)
    told = progress_text(installing, DownloadRate(), "")
    assert "\n" not in told


def test_while_it_waits_that_is_told() -> None:
    told = progress_text(Progress(stage="downloading", name="torch"), DownloadRate(), "The network is down.")
    assert "The network is down." in told.replace("\xa0", " ")
    assert "torch" not in told


def test_a_pause_beside_an_engine_says_more() -> None:
    assert paused_text(True).startswith(paused_text(False))
    assert paused_text(True) != paused_text(False)
