"""The protocol, driven by hand: a child process that serves the fake engine."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.protocol.codec import decode_event, encode
from engine.protocol.events import (
    Cancelled,
    Committed,
    Event,
    Failed,
    Finished,
    Frame,
    LinkMeasured,
    Prefilled,
    Ready,
)
from engine.protocol.requests import (
    CancelRequest,
    DraftRequest,
    LinkRequest,
    LoadRequest,
    PrepareRequest,
    Request,
    UnloadRequest,
)
from engine.runtime import server
from tests import fakes
from tests.fakes import draft_request, prepare_request, prompt_request

ROOT = Path(__file__).parents[3]
LOAD = LoadRequest(request_id="load", model="fake")


class Child:
    def __init__(self, command: tuple[str, ...]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)

    def send(self, *messages: Request | bytes) -> None:
        assert self.process.stdin
        for message in messages:
            self.process.stdin.write(message if isinstance(message, bytes) else encode(message))
        self.process.stdin.flush()

    def events(self) -> Iterator[Event]:
        assert self.process.stdout
        return map(decode_event, self.process.stdout)

    def told(self) -> str:
        """The next line on stderr."""
        assert self.process.stderr
        return self.process.stderr.readline().decode().rstrip()

    def until(self, kind: type[Event], request_id: str) -> list[Event]:
        seen: list[Event] = []
        for event in self.events():
            seen.append(event)
            if isinstance(event, kind) and event.request_id == request_id:
                return seen
        raise AssertionError(f"no {kind.__name__} of {request_id}: {seen[-3:]}")


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child(fakes.COMMAND)
    yield child
    child.process.kill()
    with child.process:
        pass  # closes the pipes and waits


def draft(request_id: str, instruction: str = "") -> DraftRequest:
    return draft_request(request_id, "", instruction=instruction)


def prepare(instruction: str = "") -> PrepareRequest:
    return prepare_request("It rained. ", instruction)


def test_a_link_is_measured_until_anything_else_is_asked_for(child: Child) -> None:
    child.send(LOAD, LinkRequest(request_id="1", device="GPU-1"))
    told = child.until(LinkMeasured, "1")[-1]
    assert told == LinkMeasured(request_id="1", bytes_per_s=12 * 10**9)
    child.send(LinkRequest(request_id="2", device="endless"), draft("3"))
    assert child.until(Finished, "3")[0] == Cancelled(request_id="2")


def test_requests_are_answered_in_order(child: Child) -> None:
    child.send(LOAD, draft("1"), draft("2"), UnloadRequest(request_id="3"), draft("4"))
    events = child.until(Failed, "4")
    ends = [event.request_id for event in events if isinstance(event, Ready | Finished | Failed)]
    assert ends == ["load", "1", "2", "4"]
    first = [type(event) for event in events if event.request_id == "1"]
    assert first == [Prefilled, *[Frame] * (fakes.STEPS + 1), Committed, Finished]


def test_a_cancel_does_not_queue_behind_the_draft(child: Child) -> None:
    child.send(LOAD, draft("1", "endless"), draft("2", "endless"))
    child.until(Frame, "1")
    child.send(CancelRequest(request_id="2"), CancelRequest(request_id="1"), CancelRequest(request_id="?"))
    child.until(Cancelled, "1")
    assert sum(isinstance(event, Frame) for event in child.until(Cancelled, "2")) <= 1


def test_a_prepare_is_answered_by_nothing(child: Child) -> None:
    of_the_future = encode(prepare()).replace(b'"before"', b'"colour":"blue","before"')
    child.send(prepare(), LOAD, prepare(), of_the_future, draft("1"))
    assert {event.request_id for event in child.until(Finished, "1")} == {"load", "1"}


def test_a_prompt_is_told_by_one_event(child: Child) -> None:
    child.send(prompt_request("0", "It rained."), LOAD, prompt_request("1", "It rained. "))
    child.until(Failed, "0")
    (told,) = (event for event in child.until(Prefilled, "1") if event.request_id == "1")
    assert isinstance(told, Prefilled)
    assert (told.prompt, told.cut_chars) == ("It rained. ", 0)


@pytest.mark.parametrize(
    "later",
    [
        LOAD,
        draft("1"),
        prepare(),
        UnloadRequest(request_id="2"),
        CancelRequest(request_id="ahead"),
    ],
)
def test_a_prepare_is_given_up_for_any_later_request(child: Child, later: Request) -> None:
    child.send(LOAD, prepare("endless"))
    assert child.told() == "reading ahead"
    child.send(later)
    assert child.told() == "given up"


def test_a_prepare_that_waits_is_given_up_for_a_later_draft(child: Child) -> None:
    child.send(LOAD, draft("1", "endless"))
    child.until(Frame, "1")
    child.send(prepare("endless"), draft("2"), CancelRequest(request_id="1"))
    assert [child.told(), child.told()] == ["reading ahead", "given up"]
    child.until(Finished, "2")


def test_a_prepare_that_fails_is_only_logged(child: Child) -> None:
    child.send(LOAD, prepare("raise"), draft("1"))
    assert not any(isinstance(event, Failed) for event in child.until(Finished, "1"))
    child.process.kill()
    assert child.process.stderr
    assert b"KeyError: 'layer 7'" in child.process.stderr.read()


def test_a_request_id_may_serve_a_load_and_a_draft(child: Child) -> None:
    child.send(LOAD, draft("load", "endless"))
    child.until(Frame, "load")
    child.send(CancelRequest(request_id="load"))
    child.until(Cancelled, "load")


def test_stray_prints_and_reads_do_not_reach_the_pipes(child: Child) -> None:
    child.send(LOAD, draft("1", "print"), draft("2", "read"))
    child.until(Finished, "2")
    child.process.kill()
    assert child.process.stderr
    stderr = child.process.stderr.read()
    assert b"a stray print\n" in stderr
    assert b"a stray write\n" in stderr


@pytest.mark.parametrize("line", [b"hello\n", b"\xff\n", b"\n", b'{"type":"draft","request_id":7}\n'])
def test_a_malformed_line_is_told_and_survived(child: Child, line: bytes) -> None:
    child.send(line, LOAD, draft("1"))
    (failed, *_) = [event for event in child.until(Finished, "1") if isinstance(event, Failed)]
    assert (failed.request_id, failed.kind) == ("", "input")
    assert repr(line) in failed.details


def test_faults_are_failed_events(child: Child) -> None:
    child.send(LoadRequest(request_id="0", model="missing"), LOAD, draft("1", "raise"), draft("2"))
    kinds = [event.kind for event in child.until(Finished, "2") if isinstance(event, Failed)]
    assert kinds == ["weights-missing", "bug"]


def test_ends_with_its_stdin_even_in_the_middle_of_a_step(child: Child) -> None:
    child.send(LOAD, draft("1", "hang"))
    child.until(Frame, "1")
    assert child.process.stdin
    child.process.stdin.close()
    assert child.process.wait(10) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="set by the parent on Windows")
def test_the_writer_goes_first(child: Child) -> None:
    child.send(LOAD)
    child.until(Ready, "load")
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, child.process.pid) > own or own == 19


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_system_that_refuses_stops_nothing(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> int:
        raise OSError(number, os.strerror(number), path)

    def deny(_process: psutil.Process, *_: int) -> int:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "nice", deny)
    monkeypatch.setattr(Path, "write_text", refuse)
    server._let_the_writer_go_first()
