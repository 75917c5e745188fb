"""However a run of the real app ends, the next one knows whether that was in order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.support.log_file import log_folder
from app.support.run_record import LostRun, RunRecord, lost_run

DRIVE = """
import ctypes, os, signal, sys
from app import application
from app.__main__ import main
from app.window.main_window import MainWindow
from tests.fakes import FakeEngine

def end(window, *_):
    END

MainWindow.start = end
application.open_local_engine = FakeEngine
sys.exit(main())
"""
FAIL = "\ndef fail(*_): raise ValueError('Clara')\nMainWindow.__init__ = fail"


def command(code: str, before: str = "") -> list[str]:
    drive = DRIVE.replace("END", code).replace("\nsys.exit", f"{before}\nsys.exit")
    return [sys.executable, "-c", drive, "--in-thread"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def lost_after(code: str, before: str = "") -> LostRun | None:
    subprocess.run(command(code, before), env=environment(), timeout=60, stderr=subprocess.DEVNULL)
    return lost_run(log_folder() / "runs")


def test_an_end_in_order_leaves_nothing() -> None:
    assert lost_after("window.close()") is None
    assert list((log_folder() / "runs").iterdir()) == []


def test_a_crash_leaves_the_stack_of_every_thread() -> None:
    lost = lost_after("ctypes.string_at(0)")
    assert lost is not None
    assert lost.end == "crash"
    assert lost.stack.count("most recent call first") > 1
    assert "string_at" in lost.stack
    assert lost_run(log_folder() / "runs") is None  # told once


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_run_that_was_killed_is_noticed() -> None:
    lost = lost_after("os.kill(os.getpid(), signal.SIGKILL)")
    assert lost is not None
    assert (lost.end, lost.stack) == ("killed", "")


def test_an_error_that_ends_it_is_noticed() -> None:
    lost = lost_after("pass", before=FAIL)
    assert lost is not None
    assert lost.end == "error"
    assert "in fail" in lost.stack


def test_a_fault_that_it_survives_is_no_crash() -> None:
    assert lost_after("window.close(); raise ValueError") is None


def test_a_fault_in_a_thread_is_logged() -> None:
    before = "\nimport threading"
    code = "t = threading.Thread(target=lambda: 1 / 0, name='count'); t.start(); t.join(); window.close()"
    assert lost_after(code, before) is None
    logged = (log_folder() / "mezzotint.log").read_text("utf-8")
    assert "in the thread count" in logged
    assert "ZeroDivisionError" in logged


def test_a_window_that_is_open_is_not_lost() -> None:
    told = "print(1, flush=True); sys.stdin.read(); window.close()"
    with subprocess.Popen(
        command(told), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        lost = lost_after("ctypes.string_at(0)")
        assert lost is not None
        assert lost.end == "crash"
        assert lost_run(log_folder() / "runs") is None
        other.communicate()
    assert other.returncode == 0
    assert lost_run(log_folder() / "runs") is None


def test_the_last_of_several_is_told_and_all_go(tmp_path: Path) -> None:
    for name, written_at in (("a", 1000), ("b", 3000), ("c", 2000)):
        (tmp_path / f"{name}.run").write_text(name, "utf-8")
        os.utime(tmp_path / f"{name}.run", (written_at, written_at))
    assert lost_run(tmp_path) == LostRun(3000, "b")
    assert list(tmp_path.glob("*.*")) == []


def test_where_nothing_can_be_written_nothing_is_missed(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file", "utf-8")
    with RunRecord(tmp_path / "runs"):
        assert lost_run(tmp_path / "runs") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_in_the_logs_place_keeps_nothing_from_starting() -> None:
    log_folder().mkdir(parents=True)
    os.mkfifo(log_folder() / "mezzotint.log")
    assert lost_after("window.close()") is None
