"""A second start hands its file to the running window. Needs sockets in the file system."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.window.single_instance import SingleInstance, hand_over, server_name

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has named pipes instead")


@pytest.fixture(autouse=True)
def runtime_folder(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Short: a socket's path has room for some hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="mz") as folder:
        monkeypatch.setenv("XDG_STATE_HOME", folder)
        yield Path(folder)


Taken = list[Path | None]


@pytest.fixture
def taken(qapp: QApplication) -> Iterator[Taken]:
    """What the running window was given."""
    owner, paths = QObject(), Taken()
    instance = SingleInstance(paths.append, owner)
    yield paths
    instance.close()


def second_start(qtbot: QtBot, *arguments: str, cwd: Path | None = None) -> int | None:
    """Its exit status; None if it went on with a window of its own."""
    root = str(Path(__file__).parents[3])
    child = subprocess.Popen(
        [sys.executable, "-m", "app", *arguments], cwd=cwd, env={**os.environ, "PYTHONPATH": root}
    )
    try:
        qtbot.waitUntil(lambda: child.poll() is not None, timeout=20_000)
        return child.returncode
    finally:
        child.kill()
        child.wait()


def test_a_second_start_hands_its_file_over_and_ends(taken: Taken, qtbot: QtBot, tmp_path: Path) -> None:
    assert second_start(qtbot, "ferry 🌊.md", cwd=tmp_path) == 0
    assert taken == [tmp_path / "ferry 🌊.md"]
    assert second_start(qtbot) == 0
    assert taken[1:] == [None]


def test_without_a_running_window_nothing_is_handed_over() -> None:
    assert not hand_over(Path("ferry.md"))


@pytest.mark.parametrize("kind", ["file", "socket"])
def test_what_a_dead_run_left_does_not_block(qtbot: QtBot, kind: str) -> None:
    name = Path(server_name())
    name.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        name.touch()
    else:
        code = f"import os, socket; socket.socket(socket.AF_UNIX).bind({str(name)!r}); os._exit(0)"
        subprocess.run([sys.executable, "-c", code], check=True)
    assert not hand_over(None)
    owner, paths = QObject(), Taken()
    instance = SingleInstance(paths.append, owner)
    assert second_start(qtbot) == 0
    assert paths == [None]
    instance.close()
    assert not hand_over(None)


def test_a_window_that_does_not_answer_does_not_block(qapp: QApplication) -> None:
    name = server_name()
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    server = QLocalServer()
    assert server.listen(name)
    assert not hand_over(None)  # nobody reads it
    server.close()


def test_two_windows_of_one_user_leave_each_other_alone(taken: Taken, qtbot: QtBot) -> None:
    owner, others = QObject(), Taken()
    other = SingleInstance(others.append, owner)
    assert second_start(qtbot) == 0
    assert (taken, others) == ([None], [])
    other.close()
    assert second_start(qtbot) == 0
    assert taken == [None, None]


@pytest.mark.parametrize("line", [b"\n", b"{}[]\n", b'{"path": 3}\n', b"x" * 100_000])
def test_what_is_no_handover_is_refused(taken: Taken, qtbot: QtBot, line: bytes) -> None:
    socket = QLocalSocket()
    socket.connectToServer(server_name())
    socket.write(line)
    qtbot.waitUntil(lambda: socket.state() is QLocalSocket.LocalSocketState.UnconnectedState)
    assert taken == []


def test_others_settings_and_displays_have_windows_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {server_name()}
    monkeypatch.setenv("DISPLAY", ":77")
    names.add(server_name())
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    names.add(server_name())
    assert len(names) == 3


def test_a_folder_that_cannot_be_made_leaves_it_at_one_window(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runtime_folder / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(runtime_folder / "file"))
    owner = QObject()
    SingleInstance(Taken().append, owner).close()
    assert not hand_over(None)
