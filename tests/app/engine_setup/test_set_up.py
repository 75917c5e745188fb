"""A set-up with the real uv, from a server and from a folder, and what can go wrong in it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import shutil
import sys
import sysconfig
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app.engine_setup.home import EngineHome, EnvironmentRecord
from app.engine_setup.lock import Lock
from app.engine_setup.messages import Progress, Waiting
from engine.installation import python_of
from engine.protocol.errors import FaultError
from tests.app.engine_setup.conftest import Machine
from tests.app.engine_setup.parts import NAMES, PYTHON, Server, try_tiny

STAGES = ("checking", "python", "downloading", "installing", "trying")


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


def fetched(machine: Machine) -> list[int]:
    """The bytes that were told while it fetched."""
    told = (report for report in machine.reports if isinstance(report, Progress))
    return [report.done_bytes for report in told if report.stage == "downloading"]


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


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
    assert fetched(set_up) == sorted(fetched(set_up))
    assert fetched(set_up)[-1] == set_up.lock.total_bytes == server.sent_bytes


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


def test_what_the_network_cut_is_fetched_on_from_there(
    set_up: Machine, home: EngineHome, server: Server
) -> None:
    first, second = (wheel.file for wheel in set_up.lock.wheels[:2])
    server.cuts = {first: [100_000, 50_000], second: [0, 200_000]}
    assert set_up().done
    assert drafts(home)
    for file in (first, second):  # Qt asks again by itself where a connection ends before it has read
        begins = [first_byte for name, first_byte in server.asked if name == file]
        assert len(begins) >= 3
        assert begins == sorted(begins)
        assert begins[-1] > 0
    assert (set_up.lock.wheels[2].file, 0) in server.asked
    assert set_up.lock.total_bytes <= server.sent_bytes < 2 * set_up.lock.total_bytes
    assert any(isinstance(report, Waiting) for report in set_up.reports)


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(
    set_up: Machine, home: EngineHome, server: Server
) -> None:
    server.knows_ranges = False
    server.cuts = {set_up.lock.wheels[0].file: [100_000]}
    assert set_up().done
    assert drafts(home)
    assert fetched(set_up) == sorted(fetched(set_up))


def test_a_network_that_stays_away_is_told_and_what_is_here_is_kept(
    set_up: Machine, home: EngineHome, server: Server
) -> None:
    server.cuts = {set_up.lock.wheels[1].file: [50_000, *[0] * 40]}
    assert failure(set_up) == "network"
    assert home.order == set_up.order
    server.cuts.clear()
    assert set_up().done
    assert server.asked[-2:] == [(set_up.lock.wheels[1].file, 50_000), (set_up.lock.wheels[2].file, 0)]
    assert home.order is None


@pytest.mark.parametrize("status", [403, 404, 407])
def test_what_no_try_mends_is_told_at_once(set_up: Machine, server: Server, status: int) -> None:
    server.status = status
    assert failure(set_up) == "network"
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(set_up: Machine, server: Server) -> None:
    server.status = 503
    set_up.on_report = lambda report: setattr(server, "status", 0) if isinstance(report, Waiting) else None
    assert set_up().done


def test_a_login_page_is_no_wheel(set_up: Machine, server: Server, home: EngineHome) -> None:
    server.page = b"<html>Please log in"
    assert failure(set_up) == "network"
    server.page = b""
    assert set_up().done


def test_a_wheel_with_another_hash_is_thrown_away(set_up: Machine, home: EngineHome) -> None:
    good = set_up.lock
    bad = dataclasses.replace(good.wheels[1], sha256="f" * 64)
    set_up.lock = Lock(good.python, (good.wheels[0], bad, good.wheels[2]), good.digest)
    assert failure(set_up) == "damaged"
    assert [file.name for file in home.wheels.iterdir()] == [good.wheels[0].file]
    set_up.lock = good
    assert set_up().done


def test_a_wheel_of_another_size_is_refused(set_up: Machine, server: Server) -> None:
    longer = (server.folder / set_up.lock.wheels[0].file).read_bytes() + b"more"
    (server.folder / set_up.lock.wheels[0].file).write_bytes(longer)
    assert failure(set_up) == "damaged"
    assert max(fetched(set_up), default=0) <= set_up.lock.wheels[0].size_bytes


def test_a_mirror_and_a_proxy_are_used(set_up: Machine, server: Server, wheels: Path) -> None:
    pypi = "https://files.pythonhosted.org/packages/aa/bb"
    official = [dataclasses.replace(wheel, url=f"{pypi}/{wheel.file}") for wheel in set_up.lock.wheels]
    set_up.lock = dataclasses.replace(set_up.lock, wheels=tuple(official))
    set_up.order = msgspec.structs.replace(
        set_up.order, mirror="http://mirror.invalid/pypi/", proxy=server.address
    )
    assert set_up().done
    first = set_up.lock.wheels[0].file
    assert server.proxied[0] == f"http://mirror.invalid/pypi/packages/aa/bb/{first}"


def test_a_proxy_is_told_its_name_and_password_as_they_are(set_up: Machine, server: Server) -> None:
    server.password = "anna@home:to/1"
    proxy = server.address.replace("//", "//anna%40home:to%2F1@")
    set_up.order = msgspec.structs.replace(set_up.order, proxy=proxy)
    far = [dataclasses.replace(one, url=f"http://pypi.invalid/{one.file}") for one in set_up.lock.wheels]
    set_up.lock = dataclasses.replace(set_up.lock, wheels=tuple(far))
    assert set_up().done


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:1", "nonsense", "ftp://127.0.0.1:2", "http://[", "http://a:b"]
)
def test_a_proxy_that_does_not_answer_or_is_none_is_told(set_up: Machine, proxy: str) -> None:
    set_up.order = msgspec.structs.replace(set_up.order, proxy=proxy)
    fault = set_up().fault
    assert fault
    assert fault.kind == "network"
    assert "proxy" in fault.remedy


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


def test_no_python_and_no_network_is_told(set_up: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:1")
    fault = set_up().fault
    assert fault
    assert fault.kind == "network"
    assert PYTHON in fault.message
    assert "127.0.0.1" in fault.message
    assert PYTHON in fault.remedy


def test_no_python_and_an_address_that_uv_alone_reaches_is_told(
    set_up: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", (tmp_path / "nowhere").as_uri())
    fault = set_up().fault
    assert fault
    assert fault.kind == "set-up"
    assert "cause:" not in fault.message
    assert "could not be installed" not in fault.message
    assert PYTHON in fault.remedy


def make_python(archive: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv knows that one alone, and none is here. In place of a whole one: a program that starts the one that
    runs the tests.
    """
    own = f"{sys.base_prefix}/bin/python{PYTHON}"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        script = program(archive.with_name("script"), f'exec {own} "$@"')
        for name in ("python", "python3", f"python{PYTHON}"):
            tar.add(script, f"python/bin/{name}")
        for file in Path(sysconfig.get_path("stdlib")).glob("_sysconfigdata_*.py"):
            tar.add(file, f"python/lib/python{PYTHON}/{file.name}")
    version = dict(zip(("major", "minor", "patch"), sys.version_info, strict=False))
    release = {
        "name": "cpython",
        "arch": {"family": platform.machine(), "variant": None},
        "os": "linux",
        "libc": "gnu",
        **version,
        "prerelease": "",
        "url": url,
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "variant": None,
        "build": "1",
    }
    listed = archive.with_name("downloads.json")
    key = f"cpython-{platform.python_version()}-linux-{platform.machine()}-gnu"
    listed.write_text(json.dumps({key: release}))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", str(listed))
    monkeypatch.setenv("PATH", "/nowhere")


def test_where_no_python_is_here_one_is_fetched(
    set_up: Machine, home: EngineHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "python.tar.gz"
    make_python(archive, archive.as_uri(), monkeypatch)
    assert set_up().done
    assert drafts(home)
    assert home.pythons.is_dir()
    home.remove()
    assert left_over(home) == []


RELEASES = "https://github.com/astral-sh/python-build-standalone/releases/download"


def told(machine: Machine, stage: str) -> list[Progress]:
    return [one for one in machine.reports if isinstance(one, Progress) and one.stage == stage]


def test_a_python_is_fetched_on_from_where_it_was_cut_and_its_bytes_are_told(
    set_up: Machine, home: EngineHome, wheels: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = wheels / "a+b.tar.gz"
    make_python(archive, f"{RELEASES}/20991231/a%2Bb.tar.gz", monkeypatch)
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", server.address)
    size = archive.stat().st_size
    server.cuts = {archive.name: [1, 5_000, *[0] * 40]}
    assert failure(set_up) == "network"
    server.cuts.clear()
    assert set_up().done
    assert drafts(home)
    assert [first for name, first in server.asked if name == archive.name][-1] == 5_000
    progress = told(set_up, "python")
    assert {one.total_bytes for one in progress} == {0, size}
    assert progress[-1].done_bytes == size
    assert any(PYTHON in one.name for one in progress)
    assert home.pythons.is_dir()
    assert left_over(home) == ["python"]


def test_a_python_with_another_hash_is_thrown_away(
    set_up: Machine, home: EngineHome, wheels: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = wheels / "python.tar.gz"
    make_python(archive, f"{RELEASES}/20991231/python.tar.gz", monkeypatch)
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", server.address)
    good = archive.read_bytes()
    archive.write_bytes(good[:-1] + b"x")
    assert failure(set_up) == "set-up"
    archive.write_bytes(good)
    assert set_up().done
    assert drafts(home)


def test_a_python_of_uvs_that_is_broken_is_put_in_place_again(
    set_up: Machine, home: EngineHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "python.tar.gz"
    make_python(archive, archive.as_uri(), monkeypatch)
    assert set_up().done
    for broken in home.pythons.rglob("bin/python*"):
        if not broken.is_symlink():
            program(broken, "exit 1")
    assert set_up().done
    assert drafts(home)


def test_a_folder_of_wheels_brings_python_too(
    set_up: Machine, home: EngineHome, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_python(
        wheels / "python" / "20991231" / "a+b.tar.gz", f"{RELEASES}/20991231/a%2Bb.tar.gz", monkeypatch
    )
    set_up.order = msgspec.structs.replace(set_up.order, folder=str(wheels))
    assert set_up().done
    assert drafts(home)
    assert home.pythons.is_dir()


def test_where_a_folder_of_wheels_has_no_python_nobody_is_asked_for_one(
    set_up: Machine, wheels: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_python(tmp_path / "python.tar.gz", f"{server.address}/20991231/python.tar.gz", monkeypatch)
    set_up.order = msgspec.structs.replace(set_up.order, folder=str(wheels))
    fault = set_up().fault
    assert fault
    assert fault.kind == "input"
    assert str(wheels / "python" / "20991231" / "python.tar.gz") in fault.message
    assert server.asked == []
