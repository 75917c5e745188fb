"""Where no Python is here, uv’s own is fetched, from a server or a folder."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import sysconfig
import tarfile
from pathlib import Path

import msgspec
import pytest

from app.engine_setup.home import EngineHome
from app.engine_setup.messages import Waiting
from tests.app.engine_setup.conftest import Machine
from tests.app.engine_setup.outcomes import drafts, failure, left_over, told
from tests.app.engine_setup.parts import PYTHON, Server, program

RELEASES = "https://github.com/astral-sh/python-build-standalone/releases/download"


def test_no_python_and_no_network_is_told(set_up: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    set_up.order = msgspec.structs.replace(set_up.order, python_mirror="http://127.0.0.1:1")
    fault = set_up().fault
    assert fault
    assert fault.kind == "network"
    assert PYTHON in fault.message
    assert "127.0.0.1" in fault.message
    assert PYTHON in fault.remedy


def test_no_python_and_an_address_that_uv_alone_reaches_is_told(
    set_up: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "python.tar.gz"
    make_python(archive, archive.as_uri(), monkeypatch)
    archive.unlink()
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


def test_a_python_is_fetched_on_from_where_it_was_cut_and_its_bytes_are_told(
    set_up: Machine, home: EngineHome, wheels: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = wheels / "a+b.tar.gz"
    make_python(archive, f"{RELEASES}/20991231/a%2Bb.tar.gz", monkeypatch)
    set_up.order = msgspec.structs.replace(set_up.order, python_mirror=f"{server.address}/")
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


def test_given_up_while_python_comes_what_has_come_is_kept(
    set_up: Machine, home: EngineHome, wheels: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = wheels / "python.tar.gz"
    make_python(archive, f"{RELEASES}/20991231/{archive.name}", monkeypatch)
    set_up.order = msgspec.structs.replace(set_up.order, python_mirror=server.address)
    server.cuts = {archive.name: [1, 5_000]}
    set_up.on_report = lambda report: set_up.cancelled.set() if isinstance(report, Waiting) else None
    ended = set_up()
    assert (ended.done, ended.fault) == (False, None)
    assert home.order == set_up.order
    set_up.cancelled.clear()
    assert set_up().done
    assert drafts(home)
    assert (archive.name, 5_000) in server.asked


def test_a_python_with_another_hash_is_thrown_away(
    set_up: Machine, home: EngineHome, wheels: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = wheels / "python.tar.gz"
    make_python(archive, f"{RELEASES}/20991231/python.tar.gz", monkeypatch)
    set_up.order = msgspec.structs.replace(set_up.order, python_mirror=f"{server.address}/")
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
