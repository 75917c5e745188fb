"""A set-up that is killed, whose disk is full or whose network goes, each at some random moments, is whole
after the next start.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
import pytest

from app.engine_setup.home import EngineHome
from app.engine_setup.lock import Lock
from engine.installation import python_of
from tests.app.engine_setup.conftest import Machine
from tests.app.engine_setup.parts import Server, try_tiny, write_lock

MOMENTS = 6
"""Of each kind; a larger number was tried by hand."""
STAGES = ("checking", "python", "downloading", "installing", "trying", "clearing")


class Driver:
    """The program that sets up; each start of it is another run of the app."""

    def __init__(self, home: EngineHome, lock: Lock, folder: Path) -> None:
        self.home = home
        write_lock(lock, folder)
        self._command = [sys.executable, "-m", "tests.app.engine_setup.driver", str(home.folder), str(folder)]

    def start(self, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen(
            self._command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=before
        )

    def finish(self, before: Callable[[], None] | None = None) -> str:
        """→ its last report."""
        told, _ = self.start(before).communicate()
        return told.splitlines()[-1]

    def is_whole(self) -> bool:
        if not self.home.active:
            return False
        try_tiny(python_of(self.home.active), threading.Event())
        return True


@pytest.fixture
def driver(home: EngineHome, lock: Lock, tmp_path: Path) -> Driver:
    return Driver(home, lock, tmp_path / "locks")


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_at_a_random_moment_it_is_whole_after_the_next_start(driver: Driver, moment: int) -> None:
    """A stage, a moment in it, and whether what it has started dies with it: all at random."""
    random = Random(moment)
    stage, later, files = random.choice(STAGES), random.randrange(20), random.randrange(120)
    process = driver.start()
    assert process.stdout
    for line in process.stdout:
        later -= stage in line
        if stage in line and (later < 0 or stage != "downloading"):
            break
    while stage == "installing" and process.poll() is None and installed_files(driver.home) < files:
        pass
    children: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):  # it has just ended
        children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in children if random.random() < 0.5 else []:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
    process.stdout.close()
    assert "done=True" in driver.finish()
    assert driver.is_whole()
    psutil.wait_procs(children)
    held = driver.home.lock()  # as the next start of the app would tidy up
    assert held
    driver.home.finish()
    held.unlock()
    assert driver.is_whole()
    assert driver.home.active
    assert {file.name for file in driver.home.folder.iterdir()} == {"active.json", driver.home.active.name}


def installed_files(home: EngineHome) -> int:
    return sum(len(files) for one in home.folder.glob("env-*") for _, _, files in os.walk(one))


@pytest.mark.parametrize("moment", range(MOMENTS // 2))
def test_a_repair_killed_at_a_random_moment_leaves_the_engine_that_was_there(
    driver: Driver, server: Server, lock: Lock, moment: int
) -> None:
    assert "done=True" in driver.finish()
    assert driver.home.active
    for file in driver.home.active.glob("lib/python*/site-packages/tiny_b/part_7.py"):
        file.unlink()  # of no use to the trial
    random = Random(1000 + moment)
    stage, later = random.choice(("verifying", *STAGES)), random.randrange(3)
    process = driver.start()
    assert process.stdout
    for line in process.stdout:
        later -= stage in line
        if stage in line and later < 0:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    assert driver.is_whole()
    asked = len(server.asked)
    assert "done=True" in driver.finish()
    assert driver.is_whole()
    assert {name for name, _ in server.asked[asked:]} <= {lock.wheels[1].file}
    assert list(driver.home.active.glob("lib/python*/site-packages/tiny_b/part_7.py"))


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_network_that_goes_at_a_random_moment_costs_no_byte_twice(
    set_up: Machine, home: EngineHome, server: Server, moment: int
) -> None:
    """It stays away until the next start."""
    random = Random(moment)
    wheel = random.choice(set_up.lock.wheels)
    here = random.randrange(wheel.size_bytes)
    server.cuts = {wheel.file: [here, *[0] * 40]}
    ended = set_up()
    assert ended.fault
    assert ended.fault.kind == "network"
    server.cuts.clear()
    asked = len(server.asked)
    assert set_up().done
    assert server.asked[asked] == (wheel.file, here)
    assert server.sent_bytes == set_up.lock.total_bytes
    assert home.active
    try_tiny(python_of(home.active), threading.Event())


def sizes() -> list[tuple[int, bool]]:
    random = Random(0)
    return [(random.randrange(1, 300_000), number % 2 == 1) for number in range(MOMENTS - 2)]


@pytest.mark.parametrize(("most_bytes", "fetched"), [(1, False), (290_000, True), *sizes()])
def test_a_disk_that_takes_no_more_is_told_and_it_goes_on_once_there_is_room(
    driver: Driver, wheels: Path, most_bytes: int, fetched: bool
) -> None:
    """No file may grow larger, which is what a full disk looks like; fetched: it is uv that meets it."""
    if fetched:
        shutil.copytree(wheels, driver.home.wheels)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    ended = driver.finish(limit)
    assert "done=False" in ended
    assert "kind='disk'" in ended or "was ended" in ended  # the system kills uv for it
    assert not driver.home.active
    assert "done=True" in driver.finish()
    assert driver.is_whole()
