"""A set-up with the real uv: an environment is made, tried, used, and goes again."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app.engine_setup.home import EngineHome, EnvironmentRecord
from app.engine_setup.messages import Progress
from engine.installation import python_of
from engine.protocol.errors import FaultError
from tests.app.engine_setup.conftest import Machine
from tests.app.engine_setup.outcomes import drafts, failure, left_over, told
from tests.app.engine_setup.parts import NAMES, Server, program

STAGES = ("checking", "python", "downloading", "installing", "trying")


def test_an_environment_is_fetched_installed_tried_and_used(
    set_up: Machine, home: EngineHome, server: Server
) -> None:
    assert set_up().done
    assert drafts(home)
    assert home.record == EnvironmentRecord(backend="cpu", lock=set_up.lock.digest)
    assert left_over(home) == []
    stages = [report.stage for report in set_up.reports if isinstance(report, Progress)]
    assert list(dict.fromkeys(stages)) == [
        "checking",
        "python",
        "downloading",
        "installing",
        "trying",
        "clearing",
    ]
    fetched = [report.done_bytes for report in told(set_up, "downloading")]
    assert fetched == sorted(fetched)
    assert fetched[-1] == set_up.lock.total_bytes == server.sent_bytes


def test_a_folder_of_wheels_does_in_place_of_the_network(
    set_up: Machine, home: EngineHome, wheels: Path, server: Server
) -> None:
    set_up.order = msgspec.structs.replace(set_up.order, folder=str(wheels))
    assert set_up().done
    assert drafts(home)
    assert server.asked == []
    assert len(list(wheels.iterdir())) == len(NAMES)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda wheel: wheel.write_bytes(b"0" * 300_000)])
def test_a_folder_that_lacks_a_wheel_or_has_another_one_is_told(
    set_up: Machine, home: EngineHome, wheels: Path, spoil: Callable[[Path], object]
) -> None:
    set_up.order = msgspec.structs.replace(set_up.order, folder=str(wheels))
    spoil(sorted(wheels.iterdir())[1])
    assert failure(set_up) in ("input", "damaged")
    assert not home.active


def test_too_small_a_disk_is_told_before_anything_is_fetched(
    set_up: Machine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: small)
    assert failure(set_up) == "disk"
    assert server.asked == []


@pytest.mark.parametrize("text", ["exit 3", "kill -SEGV $$", "echo error: nothing works >&2; exit 2"])
def test_an_uv_that_crashes_is_told(set_up: Machine, tmp_path: Path, text: str) -> None:
    set_up.options["uv"] = program(tmp_path / "uv", text)
    assert failure(set_up) == "set-up"


def test_an_uv_that_is_not_there_is_told(set_up: Machine, tmp_path: Path) -> None:
    set_up.options["uv"] = tmp_path / "nowhere"
    assert failure(set_up) == "set-up"


def test_a_home_that_cannot_be_made_is_told(set_up: Machine, home: EngineHome) -> None:
    home.folder.parent.mkdir(parents=True)
    home.folder.write_text("in the way")
    assert failure(set_up) == "disk"


def test_another_window_that_sets_up_is_told(set_up: Machine, home: EngineHome) -> None:
    held = home.lock()
    assert held
    assert failure(set_up) == "input"
    held.unlock()
    assert set_up().done


def test_an_environment_that_cannot_draft_is_not_used(set_up: Machine, home: EngineHome) -> None:
    assert set_up().done
    before = home.active

    def fail(python: Path, cancelled: threading.Event) -> None:
        raise FaultError("trial", "It could not draft.", "Try again.")

    set_up.trial = fail
    assert failure(set_up) == "trial"
    assert home.active == before
    assert drafts(home)


def test_an_upgrade_takes_the_place_of_what_was_there(set_up: Machine, home: EngineHome) -> None:
    assert set_up().done
    before = home.active
    set_up.lock = dataclasses.replace(set_up.lock, digest="1" * 64)
    assert set_up().done
    assert home.active != before
    assert drafts(home)
    assert home.record
    assert home.record.lock == "1" * 64
    assert left_over(home) == []


def test_what_was_deleted_or_broken_by_hand_is_set_up_again(set_up: Machine, home: EngineHome) -> None:
    assert set_up().done
    assert home.active
    shutil.rmtree(home.active)
    assert home.active is None
    assert set_up().done
    python = python_of(home.active)
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert home.active is None
    assert set_up().done
    assert drafts(home)
    assert left_over(home) == []


@pytest.mark.parametrize("stage", STAGES)
def test_given_up_at_any_stage_it_goes_on_from_there(set_up: Machine, home: EngineHome, stage: str) -> None:
    def give_up(report: object) -> None:
        if isinstance(report, Progress) and report.stage == stage:
            set_up.cancelled.set()

    set_up.on_report = give_up
    ended = set_up()
    assert (ended.done, ended.fault) == (False, None)
    assert home.active is None
    assert home.order == set_up.order
    set_up.cancelled.clear()
    set_up.on_report = lambda _: None
    assert set_up().done
    assert drafts(home)
    assert left_over(home) == []


def test_half_of_what_was_unpacked_is_not_used_again(set_up: Machine, home: EngineHome) -> None:
    def give_up(report: object) -> None:
        if isinstance(report, Progress) and report.stage == "trying":
            set_up.cancelled.set()

    set_up.on_report = give_up
    assert not set_up().done
    for file in home.cache.rglob("tiny_b/__init__.py"):
        shutil.rmtree(file.parent)
    set_up.cancelled.clear()
    set_up.on_report = lambda _: None
    assert set_up().done
    assert drafts(home)


def test_nothing_is_left_of_what_is_removed(set_up: Machine, home: EngineHome) -> None:
    assert set_up().done
    assert home.size_bytes() > 300_000 * len(NAMES)
    home.remove()
    assert home.active is None
    assert left_over(home) == []
