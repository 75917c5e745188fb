"""The set-up as the window sees it: its states, and what the writer can do in each."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.engine_setup.home import EngineHome
from app.engine_setup.lock import Lock
from app.engine_setup.messages import SetUpOrder
from app.engine_setup.session import SetUpSession, SetUpState
from engine.installation import python_of
from tests.app.engine_setup.parts import UV, Server, try_tiny, write_lock

ORDER = SetUpOrder(backend="cpu")
Make = Callable[[], SetUpSession]


@pytest.fixture
def make(home: EngineHome, lock: Lock, tmp_path: Path, qtbot: QtBot) -> Iterator[Make]:
    """Another start of the app each time."""
    write_lock(lock, tmp_path / "locks")
    made: list[SetUpSession] = []

    def session() -> SetUpSession:
        made.append(SetUpSession(home, locks=tmp_path / "locks", trial=try_tiny, uv=UV))
        return made[-1]

    yield session
    for each in made:
        each.close()


def until(qtbot: QtBot, session: SetUpSession, *states: SetUpState) -> None:
    qtbot.waitUntil(lambda: session.state in states, timeout=60_000)


def test_it_sets_up_and_says_so_once(make: Make, qtbot: QtBot) -> None:
    session = make()
    states = [session.state]
    session.changed.connect(lambda: states.append(session.state))
    installed: list[bool] = []
    session.installed.connect(lambda: installed.append(True))
    session.begin(ORDER)
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    assert installed == [True]
    assert states == [SetUpState.MISSING, SetUpState.RUNNING, SetUpState.READY]
    assert make().state is SetUpState.READY


def test_paused_it_goes_on_at_another_start(make: Make, qtbot: QtBot, server: Server) -> None:
    session = make()
    session.progressed.connect(session.pause)
    session.begin(ORDER)
    until(qtbot, session, SetUpState.PAUSED)
    assert session.fault is None
    again = make()
    assert again.state is SetUpState.PAUSED
    again.resume(proxy="nonsense")
    until(qtbot, again, SetUpState.PAUSED)
    assert again.fault
    again.resume(proxy="")
    until(qtbot, again, SetUpState.READY)


def test_a_failure_is_a_pause_with_its_reason(make: Make, qtbot: QtBot, server: Server) -> None:
    server.status = 404
    session = make()
    session.begin(ORDER)
    until(qtbot, session, SetUpState.PAUSED)
    assert session.fault
    assert session.fault.kind == "network"
    server.status = 0
    session.resume()
    assert session.fault is None
    until(qtbot, session, SetUpState.READY)


@pytest.mark.parametrize("paused", [False, True])
def test_cancelled_it_leaves_nothing(make: Make, qtbot: QtBot, home: EngineHome, paused: bool) -> None:
    session = make()
    session.progressed.connect(session.pause if paused else session.cancel)
    session.begin(ORDER)
    if paused:
        until(qtbot, session, SetUpState.PAUSED)
        session.cancel()
    until(qtbot, session, SetUpState.MISSING)
    assert {file.name for file in home.folder.iterdir()} <= {"set-up.lock"}


def test_cancelled_beside_an_environment_that_stays(make: Make, qtbot: QtBot, home: EngineHome) -> None:
    session = make()
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    before = home.active
    session.progressed.connect(session.cancel)
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    assert home.active == before


def test_another_lock_makes_it_outdated(make: Make, qtbot: QtBot, lock: Lock, tmp_path: Path) -> None:
    session = make()
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    fewer = dataclasses.replace(lock, wheels=lock.wheels[:2])
    write_lock(fewer, tmp_path / "locks")
    assert make().state is SetUpState.OUTDATED


def test_removed_it_is_gone_and_was_told_before(make: Make, qtbot: QtBot, home: EngineHome) -> None:
    session = make()
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    there: list[Path | None] = []
    session.leaving.connect(lambda: there.append(home.active))
    session.remove()
    until(qtbot, session, SetUpState.MISSING)
    assert len(there) == 1
    assert there[0]
    assert {file.name for file in home.folder.iterdir()} <= {"set-up.lock"}


def test_what_a_removal_left_that_was_cut_short_goes_at_the_next_start(
    make: Make, qtbot: QtBot, home: EngineHome
) -> None:
    session = make()
    session.tidy()
    assert session.state is SetUpState.MISSING
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    (home.folder / "active.json").unlink()
    again = make()
    again.tidy()
    until(qtbot, again, SetUpState.MISSING)
    assert {file.name for file in home.folder.iterdir()} <= {"set-up.lock"}


@pytest.mark.parametrize("lost", ["python", "active.json"])
def test_an_engine_that_cannot_be_found_for_now_stays(
    make: Make, qtbot: QtBot, home: EngineHome, lost: str
) -> None:
    session = make()
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    environment = home.active
    assert environment
    if lost == "python":  # on a disk that is not there now
        python_of(environment).rename(environment / "away")
    else:
        (home.folder / lost).write_bytes(b"{")
    again = make()
    again.tidy()
    until(qtbot, again, SetUpState.MISSING)
    assert environment.is_dir()


def test_what_another_window_has_set_up_meanwhile_is_seen(make: Make, qtbot: QtBot) -> None:
    session = make()
    session.progressed.connect(session.pause)
    session.begin(ORDER)
    until(qtbot, session, SetUpState.PAUSED)
    other = make()
    other.resume()
    until(qtbot, other, SetUpState.READY)
    session.resume()
    until(qtbot, session, SetUpState.READY)


@pytest.mark.parametrize("name", ["active.json", "set-up.json"])
def test_what_a_newer_version_has_set_up_stays_as_it_is(
    make: Make, qtbot: QtBot, home: EngineHome, name: str
) -> None:
    session = make()
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    newer = {"format": 2, "environment": "env-2", "backend": "quantum"}
    (home.folder / name).write_text(json.dumps(newer))
    (home.folder / "env-2").mkdir()
    before = sorted(file.relative_to(home.folder) for file in home.folder.rglob("*"))
    for act in (lambda one: one.begin(ORDER), SetUpSession.tidy, SetUpSession.remove):
        again = make()
        act(again)
        qtbot.waitUntil(lambda: again.state not in (SetUpState.RUNNING, SetUpState.LEAVING))  # noqa: B023
        assert again.fault is None or again.fault.kind == "newer"
    assert sorted(file.relative_to(home.folder) for file in home.folder.rglob("*")) == before


def test_nothing_is_removed_while_another_window_sets_up(make: Make, qtbot: QtBot, home: EngineHome) -> None:
    session = make()
    session.begin(ORDER)
    until(qtbot, session, SetUpState.READY)
    held = home.lock()
    session.remove()
    until(qtbot, session, SetUpState.READY)
    assert held
    assert session.fault
    assert session.fault.kind == "input"


def test_a_lock_that_is_none_is_told(make: Make, tmp_path: Path, qtbot: QtBot) -> None:
    session = make()
    for file in (tmp_path / "locks").iterdir():
        file.write_text("lock-version = ")
    session.begin(ORDER)
    assert session.state is SetUpState.MISSING
    assert session.fault
    assert session.fault.kind == "set-up"


def test_closed_it_ends(make: Make, qtbot: QtBot) -> None:
    session = make()
    session.begin(ORDER)
    session.close()
    assert not any(thread.name == "set up the engine" for thread in threading.enumerate())
