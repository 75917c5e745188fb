"""A build without a list of its parts: that is made from an index, with the real uv."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from app.engine_setup import lock as locks
from app.engine_setup.home import EngineHome
from app.engine_setup.lock import PYTHON, Requirements
from app.engine_setup.messages import Progress
from engine.hardware.backend import TORCH_INDEX
from tests.app.engine_setup.conftest import Machine
from tests.app.engine_setup.parts import NAMES, make_wheels, program


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A simple index, which tells no sizes, and hashes as PyTorch's does: in the addresses."""
    root = tmp_path / "index"
    make_wheels(root / "files")
    (root / "simple").mkdir()  # of PyPI's mirror, which has none of them
    for name in NAMES:
        wheel = root / "files" / f"{name}-1.0-py3-none-any.whl"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        page = root / name.replace("_", "-")
        page.mkdir()
        (page / "index.html").write_text(f'<a href="../files/{wheel.name}#sha256={digest}">{wheel.name}</a>')

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(root)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def asked(tmp_path: Path, index: str) -> Requirements:
    file, constraints = tmp_path / "requirements.txt", tmp_path / "constraints.txt"
    file.write_text("tiny-a==1.0\ntiny-b==1.0\n")
    constraints.write_text("tiny-c==1.0\n")
    with file.open("a") as more:
        more.write("tiny-c\n")
    return Requirements(file, constraints, index, PYTHON, "d" * 64)


def test_the_list_is_made_once_and_set_up(set_up: Machine, asked: Requirements, home: EngineHome) -> None:
    set_up.lock = asked  # type: ignore[assignment]
    set_up.order = msgspec.structs.replace(set_up.order, mirror=asked.index)
    set_up.on_report = lambda report: (
        set_up.cancelled.set() if isinstance(report, Progress) and report.stage == "installing" else None
    )
    assert not set_up().done
    made = home.parts_list.read_bytes()
    asked.file.unlink()  # it is not asked for again
    set_up.cancelled.clear()
    set_up.on_report = lambda _: None
    assert set_up().done
    assert locks.lock_from(made).python == PYTHON
    assert home.record
    assert home.record.lock == asked.digest
    assert not home.parts_list.exists()


@pytest.mark.parametrize("place", ["http://127.0.0.1:1", "{index}/nowhere"])
def test_an_index_that_cannot_be_reached_or_lacks_the_build_is_told(
    set_up: Machine, asked: Requirements, index: str, place: str
) -> None:
    set_up.order = msgspec.structs.replace(set_up.order, mirror=index)
    set_up.lock = dataclasses.replace(asked, index=place.format(index=index))  # type: ignore[assignment]
    fault = set_up().fault
    assert fault
    assert fault.kind == "network"
    assert "without the list" in fault.message
    assert "127.0.0.1" in fault.message
    assert "another build" in fault.remedy


@pytest.mark.parametrize("text", ["kill -KILL $$", "exit 3"])
def test_an_uv_that_fails_of_itself_is_no_fault_of_the_index(
    set_up: Machine, asked: Requirements, tmp_path: Path, text: str
) -> None:
    set_up.lock = asked  # type: ignore[assignment]
    set_up.options["uv"] = program(tmp_path / "uv", text)
    fault = set_up().fault
    assert fault
    assert fault.kind == "set-up"


def test_each_build_has_a_list_or_what_it_is_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, builds in locks.PLATFORM_BUILDS.items():
        monkeypatch.setattr(locks, "this_platform", lambda platform=platform: platform)
        for build in builds:
            parts = locks.parts_of(build)
            assert parts.python == PYTHON
            if isinstance(parts, Requirements):
                assert parts.index == TORCH_INDEX[build]
                assert "torch==" in parts.file.read_text()
            else:
                assert {"torch", "transformers", "msgspec", "huggingface-hub"} <= {
                    one.name for one in parts.wheels
                }
                assert not {"pyside6-essentials", "qasync"} & {one.name for one in parts.wheels}
                assert all(one.url.startswith("https://") and one.size_bytes > 0 for one in parts.wheels)
                assert all(one.file.endswith(".whl") and len(one.sha256) == 64 for one in parts.wheels)
                assert locks.lock_from(parts.text().encode()).wheels == parts.wheels


def test_the_lists_are_those_of_the_requirement_files() -> None:
    pinned = dict(
        line.strip().lower().replace("_", "-").split("==")
        for line in (locks.LOCKS / "requirements.cuda.txt").read_text().splitlines()
    )
    base = Path(__file__).resolve().parents[3] / "packaging" / "requirements" / "base.txt"
    wanted = dict(line.lower().replace("_", "-").split("==") for line in base.read_text().splitlines())
    assert {name: wanted[name] for name in pinned if name != "torch"} == {
        name: version for name, version in pinned.items() if name != "torch"
    }
    for file in locks.LOCKS.glob("pylock.*.toml"):
        versions = {one.name: one.version for one in locks.read_lock(file).wheels}
        assert {name: versions[name] for name in pinned if name != "torch"} == {
            name: pinned[name] for name in pinned if name != "torch"
        }
