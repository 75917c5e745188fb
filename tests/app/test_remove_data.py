"""Removal as it is started: from the window, and by the command line without a display."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.documents.recovery import RecoveryStore
from app.support.log_file import log_folder
from engine.checkpoints.catalogue import models_folder

ROOT = Path(__file__).parents[2]
DRIVE = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from app import application
from app.__main__ import main
from app.support.removal_dialog import RemovalDialog
from app.window.main_window import MainWindow
from tests.fakes import FakeEngine

def remove(window, *_):
    window.view.page.insertPlainText("not saved")
    window.removal.open()
    dialog = window.findChild(RemovalDialog)
    dialog.call.returned.connect(dialog.remove_button.click)
    timer = QTimer(QApplication.instance(), interval=10)
    timer.timeout.connect(press)
    timer.start()

def press():
    box = QApplication.activeModalWidget()
    for button in box.findChildren(QPushButton) if isinstance(box, QMessageBox) else ():
        if button.isEnabled() and button.text() in ("Don’t save", "OK"):
            button.click()

MainWindow.start = remove
application.open_local_engine = FakeEngine
sys.exit(main())
"""


@pytest.fixture
def model() -> Path:
    file = models_folder() / "gemma" / "config.json"
    file.parent.mkdir(parents=True)
    file.touch()
    return file


@pytest.fixture
def recovered(own_folders: Path) -> Path:
    file = own_folders / "state" / "mezzotint" / "recovery" / "a" / "a.recovery"
    file.parent.mkdir(parents=True)
    file.touch()
    return file


def in_terminal(typed: str) -> subprocess.CompletedProcess[str]:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [sys.executable, "-m", "app", "--remove-data"],
        cwd=ROOT,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="there is always a display")
@pytest.mark.parametrize(
    ("typed", "left"),
    [("", (True, True)), ("no\n", (True, True)), ("yes\n", (False, True)), ("yes\nyes\n", (False, False))],
)
def test_without_a_display_it_asks_in_the_terminal(
    model: Path, recovered: Path, typed: str, left: tuple[bool, bool]
) -> None:
    done = in_terminal(typed)
    assert done.returncode == 0
    assert str(models_folder()) in done.stdout
    assert (model.exists(), recovered.exists()) == left


@pytest.mark.skipif(sys.platform != "linux", reason="there is always a display")
def test_while_a_window_is_open_the_terminal_says_so(qapp: object, model: Path) -> None:
    store = RecoveryStore()
    done = in_terminal("yes\nyes\n")
    store.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert "window" in done.stderr
    assert model.exists()


def test_the_window_closes_and_what_it_has_kept_goes(own_folders: Path, model: Path, recovered: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DRIVE, "--in-thread"]
    done = subprocess.run(command, env=environment, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not log_folder().exists()
    left = {str(path.relative_to(own_folders)) for path in own_folders.rglob("*") if path.is_file()}
    assert {name for name in left if "mezzotint" in name} == {"state/mezzotint/recovery/a/a.recovery"}
