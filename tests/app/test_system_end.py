"""Whatever the system ends the app by, the last key is offered at the next start; that is no crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QTextDocument

from app.documents.document import Document
from app.documents.recovery import RecoveryStore
from app.support.log_file import log_folder
from app.support.run_record import lost_run

DRIVE = """
import os, sys
from PySide6.QtCore import qWarning
from app import application
from app.__main__ import main
from app.window.main_window import MainWindow
from tests.fakes import FakeEngine

start = MainWindow.start

def type_and_end(window, *given):
    start(window, *given)
    window.view.page.insertPlainText("the last key")
    END

MainWindow.start = type_and_end
application.open_local_engine = FakeEngine
sys.exit(main())
"""


def offered(code: str, *arguments: str, before: str = "") -> tuple[int, str | None]:
    """How a run that ended so ended, and what the next one offers."""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", before + DRIVE.replace("END", code), "--in-thread", *arguments]
    done = subprocess.run(command, env=environment, timeout=60, stderr=subprocess.DEVNULL)
    store = RecoveryStore()
    document = Document(QTextDocument(), store)
    left = document.left_behind()
    document.close()
    store.close()
    return done.returncode, left and left.copy.text


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_in_order(qapp: object, name: str) -> None:
    if not hasattr(signal, name):
        pytest.skip(f"no {name} here")
    assert offered(f"os.kill(os.getpid(), signal.{name})", before="import signal\n") == (0, "the last key")
    assert lost_run(log_folder() / "runs") is None


def test_a_signal_within_an_edit_waits_for_its_end(qapp: object) -> None:
    edit = "c = window.view.page.textCursor(); c.setPosition(0); c.beginEditBlock()"
    signals = "os.kill(os.getpid(), signal.SIGTERM)"
    within = f"{edit}; c.insertText('all of '); {signals}; c.insertText('it, to '); c.endEditBlock()"
    assert offered(within, before="import signal\n") == (0, "all of it, to the last key")


def test_signals_that_come_together_end_it_once(qapp: object) -> None:
    if not hasattr(signal, "SIGHUP"):
        pytest.skip("no SIGHUP here")
    twice = "window.close(); os.kill(os.getpid(), signal.SIGHUP); os.kill(os.getpid(), signal.SIGTERM)"
    assert offered(twice, before="import signal\n") == (0, "the last key")  # while it asks whether to save


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_a_signal_that_is_ignored_stays_ignored(qapp: object, name: str) -> None:
    if not hasattr(signal, name):
        pytest.skip(f"no {name} here")
    before = f"import signal\nsignal.signal(signal.{name}, signal.SIG_IGN)\n"
    saved = "window.view.page.document().setModified(False)"
    end = f"os.kill(os.getpid(), signal.{name}); assert window.isVisible(); {saved}; window.close()"
    assert offered(end, before=before) == (0, None)


@pytest.mark.parametrize("said", ["The X11 connection broke (error 1).", "The Wayland connection broke."])
def test_the_display_goes_away(qapp: object, said: str) -> None:
    assert offered(f"qWarning({said!r})") == (1, "the last key")
    assert lost_run(log_folder() / "runs") is None


def test_a_log_out_that_is_called_off_leaves_the_window(qapp: object) -> None:
    asked = "application.QApplication.instance().commitDataRequest.emit(None)"
    assert offered(f"{asked}; assert window.isVisible(); os._exit(3)") == (3, "the last key")
