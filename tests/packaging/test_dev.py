"""Set-up: which torch, what is installed again, what the system lacks, the launcher."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import desktop_entry
import dev
import pytest
import system

from engine.hardware.backend import BUILDS

Calls = list[list[str]]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout whose set-up would put its environment in `.venv`."""
    venv = tmp_path / ".venv"
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    for name in ("cpu", "cuda", "base", "dev", "triton", "transitive"):
        (requirements / f"{name}.txt").write_text(f"{name}==1\n")
    monkeypatch.setattr(dev, "VENV", venv)
    monkeypatch.setattr(dev, "VENV_PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(dev, "STAMP", venv / "mezzotint-requirements")
    monkeypatch.setattr(dev, "REQUIREMENTS", requirements)
    monkeypatch.setattr(dev, "TRANSITIVE", requirements / "transitive.txt")
    return tmp_path


@pytest.fixture
def calls(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the set-up starts, instead of starting it; making an environment makes an empty one."""
    seen: Calls = []

    def call(command: list[str], **options: object) -> int:
        seen.append(command)
        if "venv" in command:
            dev.VENV_PYTHON.parent.mkdir(parents=True)
            dev.VENV_PYTHON.touch()
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1e12}))
    monkeypatch.setattr(dev, "runs", Path.exists)
    monkeypatch.setattr(dev, "pip_takes_cpu_build", lambda _: False)
    return seen


# ------------------------------------------------------------------ what fits together


@pytest.mark.parametrize("backend", BUILDS)
def test_each_build_has_exact_pins(backend: str) -> None:
    for file in (*dev.requirement_files(backend, tests=True), dev.TRANSITIVE):
        pins = file.read_text().splitlines()
        assert pins
        assert all(pin.partition(";")[0].count("==") == 1 for pin in pins)


@pytest.mark.parametrize(("backend", "clash"), [("cuda", True), ("cpu", False)])
def test_a_cpu_build_beside_an_nvidia_card_is_an_error(
    backend: str, clash: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "find_backend", lambda: backend)
    monkeypatch.setattr(dev, "installed", lambda *_: True)
    monkeypatch.setattr(dev, "torch_version", lambda: "2.13.0+cpu")
    if not clash:
        dev.set_up(graphical=False)
        return
    with pytest.raises(system.SetUpError, match=r"NVIDIA card.*\+cpu[^$]*Delete the folder"):
        dev.set_up(graphical=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Triton is for Linux only")
@pytest.mark.parametrize("backend", ["cuda", "rocm", "cpu"])
def test_a_missing_compiler_costs_speed_and_is_told(
    backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "find_backend", lambda: backend)
    monkeypatch.setattr(dev, "installed", lambda *_: True)
    monkeypatch.setattr(dev, "torch_version", lambda: "2.13.0+cu130")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    dev.set_up(graphical=False)
    told = capsys.readouterr().out
    assert ("a C compiler, Python's headers" in told) == (backend != "cpu")
    assert ("apt-get install -y gcc libc6-dev python3" in told) == (backend != "cpu")
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/gcc")
    dev.set_up(graphical=False)
    assert not capsys.readouterr().out


# ------------------------------------------------------------------ what is installed, and when again


def test_an_install_is_remembered_until_a_requirement_changes(checkout: Path, calls: Calls) -> None:
    assert not dev.installed("cpu", tests=False)
    dev.install("cpu", tests=False)
    assert dev.installed("cpu", tests=False)
    assert not dev.installed("cuda", tests=False)
    (checkout / "requirements" / "base.txt").write_text("base==2\n")
    assert not dev.installed("cpu", tests=False)
    dev.install("cpu", tests=False)
    assert dev.installed("cpu", tests=False)
    assert sum("venv" in command for command in calls) == 1


def test_only_tests_need_the_test_tools(checkout: Path, calls: Calls) -> None:
    dev.install("cpu", tests=False)
    assert not any("dev.txt" in part for part in calls[-1])
    assert not dev.installed("cpu", tests=True)
    dev.install("cpu", tests=True)
    assert [part.rpartition("/")[2] for part in calls[-1] if part.endswith(".txt")] == [
        "cpu.txt",
        "base.txt",
        "dev.txt",
        "triton.txt",
        "transitive.txt",
    ]
    assert calls[-1][-2] == "--constraint"
    assert dev.installed("cpu", tests=True)
    assert dev.installed("cpu", tests=False)
    (checkout / "requirements" / "dev.txt").write_text("dev==2\n")
    assert not dev.installed("cpu", tests=True)
    dev.install("cuda", tests=True)
    assert not any("triton.txt" in part for part in calls[-1])
    (checkout / "requirements" / "transitive.txt").write_text("deep==2\n")
    assert not dev.installed("cuda", tests=True)


def test_torch_comes_from_the_index_of_its_build(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    dev.install("cuda", tests=False)
    assert calls[-1][calls[-1].index("--extra-index-url") + 1] == "https://download.pytorch.org/whl/cu130"
    dev.install("cpu", tests=False)
    assert calls[-1][calls[-1].index("--extra-index-url") + 1] == "https://download.pytorch.org/whl/cpu"
    monkeypatch.setattr(dev, "pip_takes_cpu_build", lambda _: True)
    dev.install("cpu", tests=False)
    assert "--extra-index-url" not in calls[-1]


def test_the_size_is_told_first(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    dev.install("cuda", tests=False)
    said = capsys.readouterr().out
    assert "NVIDIA cards" in said
    assert "3 GB are downloaded; 8 GB of disk" in said
    assert "MEZZOTINT_TORCH=cpu" in said


def test_a_failed_install_is_not_remembered(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    dev.install("cpu", tests=False)
    monkeypatch.setattr(subprocess, "call", lambda *_, **__: 1)
    with pytest.raises(system.SetUpError, match="pip could not install"):
        dev.install("cpu", tests=False)
    assert not dev.installed("cpu", tests=False)


@pytest.mark.usefixtures("checkout")
def test_a_full_disk_stops_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1e9})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(system.SetUpError, match="Make room"):
        dev.install("cuda", tests=False)


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 14), True), ((3, 15), False)]
)
def test_the_python_version_is_checked(version: tuple[int, int], fits: bool) -> None:
    if fits:
        dev.check_python(version)
        return
    with pytest.raises(system.SetUpError, match=rf"This is Python 3\.{version[1]}; Mezzotint needs 3\.11"):
        dev.check_python(version)


# ------------------------------------------------------------------ what the system lacks


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Libraries that this Linux system does not have."""
    names: set[str] = set()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system, "can_load", lambda library: library not in names)
    monkeypatch.setattr(system, "has_font", lambda: True)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return names


def test_missing_libraries_and_fonts_are_found(lacking: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert system.missing_for_qt() == {}
    lacking.add("libEGL.so.1")
    monkeypatch.setattr(system, "has_font", lambda: False)
    assert system.missing_for_qt() == {"libEGL.so.1": "libegl1", "a font": "fonts-dejavu-core"}


def test_a_library_that_is_not_there_cannot_be_loaded() -> None:
    assert not system.can_load("libthere-is-no-such.so.1")


def test_libraries_of_a_display_are_wanted_where_there_is_one(
    lacking: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking.update({"libxcb-cursor.so.0", "libwayland-cursor.so.0"})
    assert system.missing_for_qt() == {}
    monkeypatch.setenv("DISPLAY", ":0")
    assert list(system.missing_for_qt()) == ["libxcb-cursor.so.0"]
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert list(system.missing_for_qt()) == ["libwayland-cursor.so.0"]


def tools(*names: str) -> object:
    return lambda name: f"/usr/bin/{name}" if name in names else None


def test_a_user_gets_the_line_to_run(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", tools("apt-get"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(system.SetUpError) as error:
        system.install_system_packages({"libEGL.so.1": "libegl1", "libGL.so.1": "libgl1"})
    assert "libEGL.so.1, libGL.so.1" in str(error.value)
    line = "sudo apt-get update && sudo apt-get install -y --no-install-recommends libegl1 libgl1"
    assert line in str(error.value).splitlines()[-1]
    assert calls == []


def test_root_gets_the_packages(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", tools("apt-get"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    system.install_system_packages({"libEGL.so.1": "libegl1"})
    assert [command[:2] for command in calls] == [["apt-get", "update"], ["apt-get", "install"]]
    assert calls[1][-1] == "libegl1"


def test_other_systems_get_their_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", tools("dnf"))
    with pytest.raises(system.SetUpError, match=r"sudo dnf install 'libEGL\.so\.1\(\)\(64bit\)'"):
        system.install_system_packages({"libEGL.so.1": "libegl1"})
    with pytest.raises(system.SetUpError, match=r"sudo dnf install dejavu-sans-fonts$"):
        system.install_system_packages({"a font": "fonts-dejavu-core"})


# ------------------------------------------------------------------ the launcher


def arguments_of(entry: str) -> list[str]:
    """Exec as a desktop reads it: first the string's escapes, then the quotes, then the field codes."""
    value = read(entry)["Exec"].replace("\\\\", "\\")
    words = re.findall(r'"((?:\\.|[^"\\])*)"|(\S+)', value)
    fields = {"%": "%", "f": "letter.txt"}
    unquoted = [re.sub(r"\\(.)", r"\1", quoted or bare) for quoted, bare in words]
    return [re.sub("%(.)", lambda code: fields[code[1]], word) for word in unquoted]


def read(entry: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(entry)
    return dict(parser["Desktop Entry"])


@pytest.mark.parametrize(
    "name", ["plain", "with spaces", 'a "quote"', "100%", "$HOME", "back\\slash", "`tick`", "é"]
)
def test_the_launcher_starts_the_app_from_any_folder_name(name: str) -> None:
    root = Path("/home/writer") / name
    python = root / ".venv" / "bin" / "python"
    entry = desktop_entry.desktop_entry([str(python), "-m", "app"], "mezzotint", folder=root)
    assert arguments_of(entry) == [str(python), "-m", "app", "letter.txt"]
    assert read(entry)["Path"].replace("\\\\", "\\") == str(root)


def test_the_launcher_opens_texts_without_a_terminal() -> None:
    entry = read(desktop_entry.desktop_entry(["mezzotint"], "mezzotint"))
    assert entry["Terminal"] == "false"
    assert entry["MimeType"] == "text/plain;text/markdown;"


def test_the_shortcut_goes_to_the_menu_and_the_desktop(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(dev, "set_up", lambda **_: None)
    monkeypatch.setattr("shutil.which", tools())
    (own_folders / "Desktop").mkdir()
    assert dev.shortcut([]) == 0
    launcher = Path(os.environ["XDG_DATA_HOME"]) / "applications" / "mezzotint.desktop"
    icon = own_folders / "Desktop" / "mezzotint.desktop"
    assert launcher.read_text() == icon.read_text()
    assert arguments_of(launcher.read_text()) == [str(dev.VENV_PYTHON), "-m", "app", "letter.txt"]
    assert Path(read(launcher.read_text())["Icon"]).is_file()
    assert os.access(icon, os.X_OK)


def test_only_linux_has_the_shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(system.SetUpError, match="Linux only"):
        dev.shortcut([])


# ------------------------------------------------------------------ run and test


def test_without_a_display_run_drafts_in_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: Calls = []
    monkeypatch.setattr(dev, "has_display", lambda: False)
    monkeypatch.setattr(dev, "set_up", lambda **_: None)
    monkeypatch.setattr(dev, "become", started.append)
    dev.run([])
    assert started[0][:4] == ["-m", "engine", "draft", "--before"]
    assert Path(started[0][4]).is_file()
    assert "no display" in capsys.readouterr().out
    dev.run(["letter.txt"])
    assert started[1][4] == "letter.txt"


def test_all_checks_run_pytest_last_and_one_failure_fails(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "set_up", lambda **_: None)
    assert dev.test(["-k", "dev"]) == 0
    assert [command[2] for command in calls] == ["ruff", "ruff", "mypy", "pytest"]
    assert calls[-1][3:] == ["-k", "dev"]
    monkeypatch.setattr(subprocess, "call", lambda command, **_: int("mypy" in command))
    assert dev.test(["-k", "dev"]) == 1


@pytest.mark.parametrize(
    ("failing", "code"), [("", 0), ("pytest", 1), ("both_worlds", 1), ("both_worlds, killed", 1)]
)
def test_what_depends_on_the_processor_runs_as_on_the_other_kind_too(
    failing: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests take nothing from Python's variables, and the locale does not change how files are read."""
    seen: list[tuple[list[str], dict[str, str]]] = []

    def call(command: list[str], env: dict[str, str], **_: object) -> int:
        seen.append((command[2:], env.copy()))
        return (-9 if "killed" in failing else 1) * (
            failing.partition(",")[0] == command[-1 if "-m" in command[3:] else 2]
        )

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.setattr(dev, "set_up", lambda **_: None)
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("MEZZOTINT_BF16", "1")
    assert dev.test([]) == code
    commands, environments = zip(*seen, strict=True)
    assert list(commands[-2:]) == [["pytest", *dev.IN_PARALLEL], ["pytest", "-m", "both_worlds"]]
    assert [env["MEZZOTINT_BF16"] for env in environments] == ["1"] * 4 + ["0"]
    for env in environments:
        assert {name: env[name] for name in env if name.startswith("PYTHON")} == {"PYTHONUTF8": "1"}
