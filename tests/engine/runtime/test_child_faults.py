"""The engine in a child process dies, hangs or talks nonsense, and the next draft works all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from engine.protocol.events import Cancelled, Committed, Finished, Frame, Loading
from engine.protocol.requests import LoadRequest
from engine.runtime import child_process, process_engine
from engine.runtime.process_engine import ProcessEngine
from tests import fakes
from tests.engine.runtime.children import LOAD, ROOT, assert_ends, draft, failed, load, prepare
from tests.fakes import draft_request


@pytest.mark.parametrize("seen", [True, False])
def test_a_dead_engine_is_no_error_of_a_prepare(
    seen: bool, engine: ProcessEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pidfd = os.pidfd_open(load(engine))
    prepare(engine, "die")
    assert_ends(pidfd)
    with monkeypatch.context() as patch:
        if not seen:
            patch.setattr(child_process.ChildProcess, "alive", lambda _: True)
        prepare(engine)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert isinstance(draft(engine)[-1], Finished)
    caplog.clear()


def test_late_events_of_another_request_are_skipped(engine: ProcessEngine) -> None:
    load(engine)
    events = draft(engine, "late")
    assert isinstance(events[-1], Finished)
    assert [event.text for event in events if isinstance(event, Committed)] == [fakes.TEXT]


@pytest.mark.parametrize(
    ("how", "kind", "told"),
    [
        ("die", "engine-died", "SIGKILL"),
        ("crash", "engine-died", "SIGSEGV"),
        ("exit", "engine-died", "exit code 3"),
        ("half", "engine-died", "exit code 0"),
        ("fall silent", "engine-garbled", "SIGKILL"),
        ("noise", "engine-garbled", "soup"),
        ("unknown", "engine-garbled", "weather"),
    ],
)
def test_a_fault_fails_the_draft_and_the_next_one_works(
    how: str, kind: str, told: str, engine: ProcessEngine, caplog: pytest.LogCaptureFixture
) -> None:
    pid = load(engine)
    pidfd = os.pidfd_open(pid)
    fault = failed(draft(engine, how))
    assert fault.kind == kind
    assert told in fault.details
    assert "SIG" not in fault.message
    assert ("memory" in fault.message) == (how == "die")
    assert fault.remedy
    assert (", line " in fault.details) == (how == "crash")  # its stack
    assert ("the last words" in fault.details) == (how == "exit")
    assert ("weather" in fault.details) == (how == "unknown")
    assert_ends(pidfd)
    again = draft(engine, request_id="2")
    assert {event.request_id for event in again} == {"2"}
    assert isinstance(again[0], Loading)
    assert isinstance(again[-1], Finished)
    assert fault.message in caplog.text
    caplog.clear()


def test_a_death_is_seen_although_another_process_holds_the_pipes(
    engine: ProcessEngine, caplog: pytest.LogCaptureFixture
) -> None:
    group = load(engine)
    assert failed(draft(engine, "exit, pipes held")).kind == "engine-died"
    os.killpg(group, signal.SIGKILL)  # the other process: raises if it is gone
    caplog.clear()


def test_a_child_that_lost_its_device_is_replaced(engine: ProcessEngine) -> None:
    pidfd = os.pidfd_open(load(engine))
    assert failed(draft(engine, "lose the device")).kind == "device-lost"
    assert_ends(pidfd)
    assert isinstance(draft(engine, request_id="2")[-1], Finished)


def test_deaths_in_a_row_delay_the_start_until_a_draft_succeeds(
    engine: ProcessEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_engine, "FIRST_DELAY_S", 10_000)
    monkeypatch.setattr(process_engine, "LONGEST_DELAY_S", 30_000)
    waits = []

    class NotedWait(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(round(timeout or 0, -4))
            return False

    load(engine)
    for instruction in ("exit", "exit", "exit", "", "exit", ""):
        list(engine.draft(draft_request("1", "", instruction=instruction), NotedWait()))
    assert waits == [10_000, 20_000, 30_000, 10_000]
    caplog.clear()


def test_cancel_while_it_waits_to_start(engine: ProcessEngine, caplog: pytest.LogCaptureFixture) -> None:
    load(engine)
    draft(engine, "exit")
    cancelled = threading.Event()
    events = engine.draft(draft_request("2", ""), cancelled)
    assert isinstance(next(events), Loading)
    cancelled.set()
    assert list(events) == [Cancelled(request_id="2")]
    caplog.clear()


def test_a_death_between_two_drafts_is_not_the_writers(
    engine: ProcessEngine, caplog: pytest.LogCaptureFixture
) -> None:
    pid = load(engine)
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert_ends(pidfd)
    assert isinstance(draft(engine)[-1], Finished)
    caplog.clear()


def test_kill_ends_a_hung_draft_and_the_next_one_works_at_once(
    engine: ProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_engine, "FIRST_DELAY_S", 10.0)
    load(engine)
    request = draft_request("1", "", instruction="hang")
    events = engine.draft(request, threading.Event())
    while not isinstance(next(events), Frame):
        pass
    killer = threading.Thread(target=engine.kill)
    killer.start()
    assert failed(list(events)).message == "The engine was stopped."
    killer.join()
    began = time.monotonic()
    assert isinstance(draft(engine, request_id="2")[-1], Finished)
    assert time.monotonic() - began < 10


def test_a_child_that_ignores_a_cancel_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    engine = ProcessEngine(fakes.COMMAND, cancel_grace_s=0.1)
    pid = load(engine)
    pidfd = os.pidfd_open(pid)
    cancelled = threading.Event()
    cancelled.set()
    request = draft_request("1", "", instruction="hang")
    assert failed(list(engine.draft(request, cancelled))).kind == "engine-died"
    assert_ends(pidfd)
    engine.close()
    caplog.clear()


def test_a_failed_load_is_told_again_by_the_draft(engine: ProcessEngine) -> None:
    missing = LoadRequest(request_id="1", model="missing")
    assert failed(list(engine.load(missing, threading.Event()))).kind == "weights-missing"
    assert failed(draft(engine)).kind == "weights-missing"


def test_a_command_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    engine = ProcessEngine(["/nowhere/python"])
    fault = failed(list(engine.load(LOAD, threading.Event())))
    assert fault.kind == "engine-died"
    assert "/nowhere/python" in fault.message
    caplog.clear()


def test_close_and_unload_end_the_child(engine: ProcessEngine) -> None:
    pidfd = os.pidfd_open(load(engine))
    engine.unload()
    assert_ends(pidfd)
    pidfd = os.pidfd_open(load(engine))
    engine.close()
    assert_ends(pidfd)


@pytest.mark.parametrize("instruction", ["endless", "hang"])
def test_the_child_ends_when_its_parent_is_killed(instruction: str) -> None:
    code = f"""
import threading
from engine.protocol.events import Frame
from engine.runtime.process_engine import ProcessEngine
from tests import fakes
from tests.engine.runtime.children import load
engine = ProcessEngine(fakes.COMMAND)
print(load(engine), flush=True)
request = fakes.draft_request("1", "", instruction="{instruction}")
for event in engine.draft(request, threading.Event()):
    if isinstance(event, Frame):
        print("drafting", flush=True)
"""
    parent = subprocess.Popen((sys.executable, "-c", code), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pidfd = os.pidfd_open(int(parent.stdout.readline()))
    assert parent.stdout.readline() == "drafting\n"
    parent.kill()
    parent.communicate()
    assert_ends(pidfd)
