"""A set-up that is killed, at twenty random moments, or whose disk is full, is whole after the next start."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil
import pytest

from app.engine_setup.home import EngineHome
from app.engine_setup.lock import Lock
from engine.installation import python_of
from tests.app.engine_setup.parts import try_tiny, write_lock

MOMENTS = 20
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
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    for child in children if random.random() < 0.5 else []:
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


@pytest.mark.parametrize(
    ("most_bytes", "fetched"), [(1, False), (100_000, False), (290_000, False), (290_000, True)]
)
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
    assert "kind='disk'" in ended or "kind='set-up'" in ended
    assert not driver.home.active
    assert "done=True" in driver.finish()
    assert driver.is_whole()
