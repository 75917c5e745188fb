"""An Engine that runs another one in a child process and survives its death."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from engine.errors import EngineError
from engine.events import (
    Cancelled,
    CancelRequest,
    DraftEvent,
    DraftRequest,
    Event,
    Failed,
    Finished,
    Frame,
    LoadEvent,
    Loading,
    LoadRequest,
    PrepareRequest,
    Ready,
    Request,
    decode_event,
    encode,
)
from engine.nvidia import engine_environment

log = logging.getLogger(__name__)

POLL_S = 0.03  # a cancel is seen this late at most
LINE_BYTES = 64 << 20  # no event is longer
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0
CARDS = ("cuda", "xpu")  # as their ids begin; the best device comes first
REMEDY = "Draft again: the engine starts afresh."


class EngineProcess:
    """Runs `command`, by default this Python's `-m engine serve`.

    The child starts with the first request. When it dies or prints what is no event, the request fails, and
    the next one starts another child, loads the last model again and goes on. Deaths in a row delay that
    start more and more. A child that does not end a cancelled request within cancel_grace_s or 20 steps is
    killed.
    """

    def __init__(self, command: Sequence[str] | None = None, *, cancel_grace_s: float = 30.0) -> None:
        self._command = command or (sys.executable, "-m", "engine", "serve")
        self._cancel_grace_s = cancel_grace_s
        self._child: _Child | None = None
        self._last_load: LoadRequest | None = None
        self._step_s = 0.0
        self._deaths = 0
        self._start_at = -math.inf

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        self._last_load = request
        if self._child:
            self._child.loaded = False
        if self._child and self._child.surroundings != engine_environment(request.device):
            self.close()  # what a process sees of the GPUs is settled when it starts
        try:
            child = yield from self._running_child(request, cancelled)
            if child:
                yield from self._load(child, request, cancelled)
        except EngineError as error:
            yield self._failed(error, request)

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        try:
            child = yield from self._running_child(request, cancelled)
            if child and self._last_load and not child.loaded:
                again = msgspec.structs.replace(self._last_load, request_id=request.request_id)
                yield from self._load(child, again, cancelled)
                if not child.loaded:
                    return
            if child:
                yield from self._converse(child, request, cancelled)
        except EngineError as error:
            yield self._failed(error, request)

    def prepare(self, request: PrepareRequest, cancelled: threading.Event) -> None:
        """Told to a child that has its model, which reads on until its next request. Starts no child."""
        child = self._child
        if child and child.loaded and child.alive() and not cancelled.is_set():
            try:
                child.send(request)
            except EngineError as error:
                log.info("nothing is read ahead: %s", error.message)

    def unload(self) -> None:
        """Ends the child: a GPU's memory comes back for certain only then."""
        self._last_load = None
        self.close()

    def close(self) -> None:
        child, self._child = self._child, None
        if child:
            child.end()

    def kill(self) -> None:
        """End the child at once, whatever it is doing. May be called from any thread."""
        if child := self._child:
            child.kill()

    def _running_child(
        self, request: LoadRequest | DraftRequest, cancelled: threading.Event
    ) -> Generator[Loading | Cancelled, None, _Child | None]:
        """None if the request was cancelled before the child could start."""
        if self._child and not self._child.alive():
            self._bury(self._child.death())
        if self._child and self._child.used_card and not self._child.loaded:
            self.close()  # what an earlier load there took of the card comes back for certain only so
        if self._child is None:
            yield Loading(request_id=request.request_id, stage="Starting the engine", fraction=0.0)
            if cancelled.wait(max(0.0, self._start_at - time.monotonic())):
                yield Cancelled(request_id=request.request_id)
                return None
            device = self._last_load.device if self._last_load else "auto"
            self._child = _Child(self._command, engine_environment(device))
        return self._child

    def _load(self, child: _Child, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        for event in self._converse(child, request, cancelled):
            if not isinstance(event, LoadEvent):
                raise EngineError("engine-garbled", "The engine answered a load with a draft.", REMEDY)
            if isinstance(event, Loading) and event.devices:
                child.used_card = request.device != "cpu" and event.devices[0].id.startswith(CARDS)
            child.loaded = isinstance(event, Ready)
            yield event

    def _converse(
        self, child: _Child, request: LoadRequest | DraftRequest, cancelled: threading.Event
    ) -> Iterator[Event]:
        """One request and its events. What an earlier, cancelled request still says is skipped."""
        unfinished = (1 + len(request.more)) * request.variants if isinstance(request, DraftRequest) else 1
        kill_at = math.inf
        child.send(request)
        try:
            while unfinished:
                if cancelled.is_set() and kill_at == math.inf:
                    kill_at = time.monotonic() + max(self._cancel_grace_s, 20 * self._step_s)
                    child.send(CancelRequest(request_id=request.request_id))
                if time.monotonic() > kill_at:
                    raise EngineError("engine-died", "The engine did not stop when asked to.", REMEDY)
                event = child.receive()
                if event is None or event.request_id not in (request.request_id, ""):
                    continue
                match event:
                    case Frame() if event.step:
                        self._step_s = event.elapsed_s / event.step
                    case Finished():
                        unfinished -= 1
                        self._deaths = 0
                    case Ready() | Cancelled() | Failed():
                        unfinished = 0
                if isinstance(event, Failed) and event.kind == "device-lost":
                    self.close()  # a process that lost its device cannot use it again
                yield msgspec.structs.replace(event, request_id=request.request_id)
        finally:
            if unfinished and kill_at == math.inf:
                with contextlib.suppress(EngineError):
                    child.send(CancelRequest(request_id=request.request_id))

    def _failed(self, error: EngineError, request: LoadRequest | DraftRequest) -> Failed:
        if error.kind in ("engine-died", "engine-garbled"):
            self._bury(error)
        return error.event(request.request_id)

    def _bury(self, error: EngineError) -> None:
        child, self._child = self._child, None
        asked_for = child is not None and child.killed
        log.log(logging.INFO if asked_for else logging.WARNING, "%s\n%s", error.message, error.details)
        if child:
            child.kill()
            child.end()
        if asked_for:
            return
        self._start_at = time.monotonic() + min(FIRST_DELAY_S * 2**self._deaths, LONGEST_DELAY_S)
        self._deaths += 1


class _Child:
    """One child process and the two threads that read what it says.

    surroundings: what its environment has besides this process's own.
    """

    def __init__(self, command: Sequence[str], surroundings: dict[str, str]) -> None:
        self.surroundings = surroundings
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment() | surroundings,
                creationflags=flags,
                start_new_session=True,  # Ctrl+C in the app's terminal is the app's
            )
        except OSError as error:
            raise EngineError("engine-died", f"The engine cannot be started: {error}", REMEDY) from error
        log.info("engine process %d started", self._process.pid)
        self.loaded = False
        self.used_card = False
        self.killed = False
        self._output_ended = False
        self._events: queue.SimpleQueue[Event | EngineError] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=20)
        self._threads = [
            threading.Thread(target=reader, args=(pipe,), name=name, daemon=True)
            for name, reader, pipe in (
                ("engine events", self._read_events, self._process.stdout),
                ("engine stderr", self._read_stderr, self._process.stderr),
            )
        ]
        for thread in self._threads:
            thread.start()

    def send(self, request: Request) -> None:
        assert self._process.stdin
        try:
            line = encode(request)
        except UnicodeEncodeError as error:
            message = f"The text holds half a character at {error.start}."
            raise EngineError("input", message, "Delete the character there and draft again.") from error
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError as error:
            raise self.death() from error

    def receive(self) -> Event | None:
        """None if there is no event within POLL_S. Raises EngineError once there can be no more."""
        try:
            event = self._events.get(timeout=POLL_S)
        except queue.Empty:
            if self._process.poll() is None:
                return None
            self._threads[0].join(0.5)  # it may have said more, unless something else holds its pipe open
            if self._events.empty():
                raise self.death() from None
            return None
        if isinstance(event, EngineError):
            raise event
        return event

    def alive(self) -> bool:
        # While the reader waits for the process's end, poll() finds its lock held and says nothing.
        return not self._output_ended and self._process.poll() is None and self._threads[0].is_alive()

    def death(self) -> EngineError:
        """Why the child is gone, or is about to be."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._threads[1].join(0.5)
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        message = f"The engine stopped unexpectedly ({how})."
        if self.killed:
            message = "The engine was stopped."
        elif code == -9:
            message += " The system may have ended it because memory ran out."
        return EngineError("engine-died", message, REMEDY, "\n".join(self._stderr))

    def kill(self) -> None:
        self.killed = True
        self._process.kill()

    def end(self) -> None:
        """Close its stdin, which ends it; if not, terminate it; if not, kill it."""
        with contextlib.suppress(OSError):
            assert self._process.stdin
            self._process.stdin.close()
        for stop in (self._process.terminate, self._process.kill):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
                break
            stop()
        self._process.wait()
        for thread in self._threads:
            thread.join(0.5)

    def _read_events(self, stdout: IO[bytes]) -> None:
        with stdout:
            while (line := stdout.readline(LINE_BYTES)).endswith(b"\n"):
                try:
                    self._events.put(decode_event(line))
                except ValueError as error:
                    self._events.put(_garbled(line, str(error)))
                    return
            if len(line) == LINE_BYTES:
                self._events.put(_garbled(line, "the line is too long"))
                return
        self._output_ended = True
        self._events.put(self.death())

    def _read_stderr(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                text = line.decode(errors="replace").rstrip()
                self._stderr.append(text)
                log.info("engine: %s", text)


def _garbled(line: bytes, why: str) -> EngineError:
    return EngineError(
        "engine-garbled", "The engine said what cannot be understood.", REMEDY, f"{why}\n{line[:500]!r}"
    )


def module_path() -> dict[str, str]:
    """Variables with which `-m` finds Mezzotint's packages, and none of the same name in the working
    directory.
    """
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        **module_path(),
        # glibc would give a step's memory back to the system and ask for it again, page by page.
        "MALLOC_MMAP_THRESHOLD_": str(2**25),
        "MALLOC_TRIM_THRESHOLD_": str(2**28),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
