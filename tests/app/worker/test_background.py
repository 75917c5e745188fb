"""Calls in the background: where their results arrive, and that one that hangs keeps nothing open."""

from __future__ import annotations

import subprocess
import sys
import threading

from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.worker.background import BackgroundCall

HANGING = """
import threading
from PySide6.QtCore import QCoreApplication
from app.worker.background import BackgroundCall
app = QCoreApplication([])
call = BackgroundCall("hang", app)
call.start(threading.Event().wait)
call.join(0)
print(call.busy)
"""


def test_a_result_comes_back_to_the_gui_s_thread(qtbot: QtBot) -> None:
    owner = QObject()
    call = BackgroundCall("call", owner)
    seen: list[tuple[object, threading.Thread, bool]] = []
    call.returned.connect(lambda result: seen.append((result, threading.current_thread(), call.busy)))
    with qtbot.waitSignal(call.returned):
        call.start(lambda: threading.current_thread().name)
        assert call.busy
    assert seen == [("call", threading.main_thread(), False)]


def test_one_that_hangs_does_not_keep_the_app_from_ending() -> None:
    answer = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=120)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "True\n", "")
