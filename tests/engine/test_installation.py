"""Which Python runs the engine, and what is said to repair it, in each kind of installation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine import installation
from engine.protocol.events import Failed
from engine.protocol.requests import LoadRequest
from engine.runtime.process_engine import ProcessEngine

ROOT = installation.ROOT


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Path:
    """→ the engine's home, which does not exist yet."""
    monkeypatch.setattr(installation, "KIND", "built")
    return installation.engine_home()


def test_a_checkout_runs_the_engine_itself() -> None:
    assert installation.KIND == "checkout"
    assert installation.engine_python() == Path(sys.executable)


def test_the_built_app_runs_the_environment_that_is_in_use(built: Path) -> None:
    assert installation.engine_python() is None
    python = installation.python_of(built / "env-1")
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (built / "active.json").write_text(json.dumps({"format": 1, "environment": "env-1"}))
    assert installation.engine_python() == python
    python.unlink()
    assert installation.engine_python() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"environment": 7}', '{"environment": ""}', "\xff", "null"])
def test_a_broken_file_is_no_environment(built: Path, text: str) -> None:
    built.mkdir(parents=True)
    (built / "active.json").write_text(text, encoding="latin-1")
    assert installation.engine_python() is None


def test_no_environment_lies_elsewhere(built: Path, tmp_path: Path) -> None:
    python = installation.python_of(tmp_path / "evil")
    python.parent.mkdir(parents=True)
    python.touch()
    built.mkdir(parents=True)
    (built / "active.json").write_text(json.dumps({"environment": str(tmp_path / "evil")}))
    assert installation.engine_python() is None


@pytest.mark.usefixtures("built")
def test_without_one_a_load_says_what_is_missing() -> None:
    events = list(ProcessEngine().load(LoadRequest(request_id="1", model="starter"), threading.Event()))
    assert isinstance(events[-1], Failed)
    assert events[-1].fault.kind == "engine-missing"


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("build", ["", "cuda126"])
def test_the_built_app_names_no_developers_command(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEZZOTINT_TORCH", "cpu")
    told = installation.how_to_reinstall(build)  # type: ignore[arg-type]
    assert "Settings › Engine" in told
    assert "dev.py" not in told
    assert "MEZZOTINT" not in told


def test_the_built_apps_engine_finds_the_writers_own_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "FROZEN", True)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/rocm/lib")  # as packaging/start.py leaves it
    assert "LD_LIBRARY_PATH" not in installation.package_environment()


def test_sources_with_the_built_apps_file_are_taken_for_it(tmp_path: Path) -> None:
    package = tmp_path / "engine"
    package.mkdir()
    for name in ("__init__.py", "installation.py"):
        (package / name).write_bytes((ROOT / "engine" / name).read_bytes())
    code = "from engine import installation; print(installation.KIND)"
    kinds = []
    for file in ("", "pyproject.toml", "built.json"):
        if file:
            (tmp_path / file).write_text("{}")
        command = [sys.executable, "-c", code]
        kinds.append(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout.strip())
    assert kinds == ["package", "checkout", "built"]


def test_torch_leaves_no_folder_where_others_keep_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)  # torch sets it where it is imported
    passing = tmp_path / "passing"
    passing.mkdir()
    environment = {**os.environ, **installation.package_environment(), "TMPDIR": str(passing)}
    subprocess.run([sys.executable, "-c", "import torch._inductor"], env=environment, check=True)
    assert list(passing.iterdir()) == []
