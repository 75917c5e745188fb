"""What is whole of an engine that is here is taken over: only what is missing or broken is fetched."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app.engine_setup.home import EngineHome
from app.engine_setup.lock import Lock
from app.engine_setup.messages import Progress
from engine.installation import python_of
from engine.protocol.errors import FaultError
from tests.app.engine_setup.conftest import Machine
from tests.app.engine_setup.parts import Server, try_tiny

Spoil = Callable[[Path], object]


@pytest.fixture
def engine(set_up: Machine, home: EngineHome, server: Server) -> Path:
    """One that is in use; the server has forgotten what it was asked for."""
    assert set_up().done
    assert home.active
    server.asked.clear()
    server.sent_bytes = 0
    set_up.reports.clear()
    return home.active


def site_of(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"))


def drafts(home: EngineHome) -> bool:
    assert home.active
    try_tiny(python_of(home.active), threading.Event())
    return True


def files_in(environment: Path) -> dict[Path, int]:
    """Of the packages, each with its place on the disk."""
    site = site_of(environment)
    files = (file for name in ("tiny_a", "tiny_b", "tiny_c") for file in (site / name).glob("*.*"))
    return {file.relative_to(site): file.stat().st_ino for file in files}


def test_of_an_engine_that_is_whole_nothing_is_fetched_and_no_file_is_copied(
    set_up: Machine, home: EngineHome, server: Server, engine: Path
) -> None:
    before = files_in(engine)
    assert set_up().done
    assert (server.asked, server.sent_bytes) == ([], 0)
    assert home.active
    assert home.active != engine
    assert not engine.exists()
    assert files_in(home.active) == before
    assert drafts(home)
    verified = [one for one in set_up.reports if isinstance(one, Progress) and one.stage == "verifying"]
    assert verified[0].total_bytes > sum(one.size_bytes for one in set_up.lock.wheels) * 0.9
    assert [one.done_bytes for one in verified] == sorted({one.done_bytes for one in verified})
    assert not any(one.stage == "downloading" for one in set_up.reports if isinstance(one, Progress))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def change(file: Path) -> None:
    """A bit, as a bad disk does."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("name", ["tiny_b/data.bin", "tiny_b/part_7.py", "tiny_b-1.0.dist-info/METADATA"])
@pytest.mark.parametrize("spoil", [Path.unlink, cut, change])
def test_of_one_that_is_broken_only_the_broken_package_is_fetched(
    set_up: Machine, home: EngineHome, server: Server, engine: Path, name: str, spoil: Spoil
) -> None:
    before = files_in(engine)
    spoil(site_of(engine) / name)
    assert set_up().done
    broken = set_up.lock.wheels[1]
    assert server.asked == [(broken.file, 0)]
    assert server.sent_bytes == broken.size_bytes
    assert drafts(home)
    assert home.active
    after = files_in(home.active)
    assert after.keys() == before.keys()
    assert all(after[file] == before[file] for file in after if file.parts[0] != "tiny_b")
    fetched = [one for one in set_up.reports if isinstance(one, Progress) and one.stage == "downloading"]
    assert fetched[-1].total_bytes == broken.size_bytes


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        lambda record: record.write_text("nothing, that, is, a record\n"),
        lambda record: record.write_bytes(b"\xff\xfe"),
        lambda record: record.write_text("tiny_b/data.bin,md5=abc,3\n"),
    ],
)
def test_a_package_whose_record_cannot_be_read_is_fetched(
    set_up: Machine, home: EngineHome, server: Server, engine: Path, spoil: Spoil
) -> None:
    spoil(site_of(engine) / "tiny_b-1.0.dist-info" / "RECORD")
    assert set_up().done
    assert [name for name, _ in server.asked] == [set_up.lock.wheels[1].file]
    assert drafts(home)


def break_python(engine: Path) -> None:
    python_of(engine).unlink()
    python_of(engine).symlink_to("/nowhere/python")


@pytest.mark.parametrize(
    "spoil", [break_python, lambda engine: (engine.parent / "active.json").write_bytes(b"{")]
)
def test_an_engine_that_cannot_be_started_or_found_is_taken_over_too(
    set_up: Machine, home: EngineHome, server: Server, engine: Path, spoil: Spoil
) -> None:
    spoil(engine)
    assert home.active is None
    assert set_up().done
    assert server.asked == []
    assert drafts(home)
    assert not engine.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda engine: (engine / "requirements.txt").unlink(),
        lambda engine: shutil.rmtree(site_of(engine)),
        lambda engine: (engine / "requirements.txt").write_bytes(b"\xff"),
    ],
)
def test_what_cannot_be_told_for_sure_is_fetched(
    set_up: Machine, home: EngineHome, server: Server, engine: Path, spoil: Spoil
) -> None:
    spoil(engine)
    assert set_up().done
    assert len(server.asked) == len(set_up.lock.wheels)
    assert drafts(home)


def test_an_upgrade_fetches_what_is_another_wheel(
    set_up: Machine, home: EngineHome, server: Server, engine: Path, wheels: Path
) -> None:
    """Of the same version, too: the hash tells."""
    file = wheels / set_up.lock.wheels[2].file
    rebuilt = file.rename(wheels / "tiny_c-1.0-1-py3-none-any.whl")
    other = dataclasses.replace(
        set_up.lock.wheels[2], url=f"{server.address}/{rebuilt.name}", sha256=hash_after_a_comment(rebuilt)
    )
    other = dataclasses.replace(other, size_bytes=rebuilt.stat().st_size)
    set_up.lock = Lock(set_up.lock.python, (*set_up.lock.wheels[:2], other), "1" * 64)
    assert set_up().done
    assert server.asked == [(rebuilt.name, 0)]
    assert drafts(home)


def hash_after_a_comment(wheel: Path) -> str:
    with zipfile.ZipFile(wheel, "a") as file:
        file.comment = b"built anew"
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_a_folder_needs_to_hold_no_more_than_is_missing(
    set_up: Machine, home: EngineHome, server: Server, engine: Path, wheels: Path
) -> None:
    shutil.rmtree(site_of(engine) / "tiny_b")
    for file in wheels.glob("tiny_[ac]*"):
        file.unlink()
    set_up.order = msgspec.structs.replace(set_up.order, folder=str(wheels))
    assert set_up().done
    assert server.asked == []
    assert drafts(home)


def test_the_old_engine_is_as_it_was_after_a_new_one_that_cannot_draft(
    set_up: Machine, home: EngineHome, server: Server, engine: Path
) -> None:
    before = files_in(engine)

    def fail(python: Path, cancelled: threading.Event) -> None:
        raise FaultError("trial", "It could not draft.", "Try again.")

    set_up.trial = fail
    assert not set_up().done
    assert home.active == engine
    assert files_in(engine) == before
    assert drafts(home)


def test_room_is_asked_for_only_for_what_is_missing(
    set_up: Machine, server: Server, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times the wheels, and what Python compiles."""
    little = shutil.disk_usage("/")._replace(free=250 * 10**6 + 2 * set_up.lock.total_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    assert set_up().done
    set_up.lock = dataclasses.replace(
        set_up.lock, wheels=tuple(dataclasses.replace(one, version="2.0") for one in set_up.lock.wheels)
    )
    ended = set_up()
    assert ended.fault
    assert ended.fault.kind == "disk"


def test_given_up_while_it_looks_the_engine_stays(
    set_up: Machine, home: EngineHome, server: Server, engine: Path
) -> None:
    def give_up(report: object) -> None:
        if isinstance(report, Progress) and report.stage == "verifying":
            set_up.cancelled.set()

    set_up.on_report = give_up
    ended = set_up()
    assert (ended.done, ended.fault) == (False, None)
    assert [one.stage for one in set_up.reports if isinstance(one, Progress)][-1] == "verifying"
    assert home.active == engine
    assert drafts(home)
    assert server.asked == []
