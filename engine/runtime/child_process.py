"""One engine child process and its pipes."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

from engine.installation import package_environment
from engine.protocol.codec import decode_event, encode
from engine.protocol.errors import FaultError, reason_of
from engine.protocol.events import Event
from engine.protocol.requests import Request

log = logging.getLogger(__name__)

POLL_S = 0.03  # a cancel is seen this late at most
MAX_LINE_BYTES = 64 << 20  # no event is longer
RESTART_REMEDY = "Draft again: the engine starts afresh."
ENVIRONMENT = {
    # glibc would give a step's memory back to the system and ask for it again, page by page.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**28),
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


class ChildProcess:
    """One child process and the two threads that read what it says."""

    def __init__(
        self, command: Sequence[str], device_environment: dict[str, str], on_lost: Callable[[], None]
    ) -> None:
        """device_environment: variables that it has besides this process's own. on_lost: called, in another
        thread, once it can say no more.
        """
        self.device_environment = device_environment
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **package_environment(), **ENVIRONMENT, **device_environment},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                start_new_session=True,  # Ctrl+C in the app's terminal is the app's
            )
        except OSError as error:
            reason, remedy = reason_of(error)
            message = f"The engine cannot be started: “{command[0]}”: {reason}."
            raise FaultError("engine-died", message, remedy or RESTART_REMEDY, str(error)) from error
        log.info("engine process %d started", self._process.pid)
        self.loaded = False
        self.used_card = False
        self.killed = False
        self._on_lost = on_lost
        self._output_ended = False
        self._fell_silent = False
        self._events: queue.SimpleQueue[Event | FaultError] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=20)
        readers = ((self._read_events, self._process.stdout), (self._read_stderr, self._process.stderr))
        self._threads = [
            threading.Thread(target=read, args=(pipe,), name=f"engine{read.__name__}", daemon=True)
            for read, pipe in readers
        ]
        for thread in self._threads:
            thread.start()

    def send(self, request: Request) -> None:
        assert self._process.stdin
        try:
            line = encode(request)
        except UnicodeEncodeError as error:
            message = f"The text holds half a character at {error.start}."
            raise FaultError("input", message, "Delete the character there and draft again.") from error
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError as error:
            raise self.death() from error

    def receive(self) -> Event | None:
        """None if there is no event within POLL_S. Raises FaultError once there can be no more."""
        try:
            event = self._events.get(timeout=POLL_S)
        except queue.Empty:
            if self._process.poll() is None:
                return None
            self._threads[0].join(0.5)  # it may have said more, unless something else holds its pipe open
            if self._events.empty():
                raise self.death() from None
            return None
        if isinstance(event, FaultError):
            raise event
        return event

    def alive(self) -> bool:
        # While the reader waits for the process's end, poll() finds its lock held and says nothing.
        return not self._output_ended and self._process.poll() is None and self._threads[0].is_alive()

    def death(self) -> FaultError:
        """Why the child is gone, or is about to be."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._fell_silent = True
            self._process.kill()
            code = self._process.wait()
        self._threads[1].join(0.5)
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        kind, message = "engine-died", "The engine stopped unexpectedly."
        if self.killed:
            message = "The engine was stopped."
        elif self._fell_silent:
            kind, message = "engine-garbled", "The engine closed its output while it still ran."
        elif code == -9:
            message += " The system may have ended it because memory ran out."
        return FaultError(kind, message, RESTART_REMEDY, "\n".join((*self._stderr, how)))

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
        self._events.put(self._read_to_end(stdout))
        self._on_lost()

    def _read_to_end(self, stdout: IO[bytes]) -> FaultError:
        """Why there are no more events."""
        with stdout:
            while (line := stdout.readline(MAX_LINE_BYTES)).endswith(b"\n"):
                try:
                    self._events.put(decode_event(line))
                except ValueError as error:
                    return _garbled(line, str(error))
            if len(line) == MAX_LINE_BYTES:
                return _garbled(line, "the line is too long")
        self._output_ended = True
        return self.death()

    def _read_stderr(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                text = line.decode(errors="replace").rstrip()
                self._stderr.append(text)
                log.info("engine: %s", text)


def _garbled(line: bytes, why: str) -> FaultError:
    message = "The engine said what cannot be understood."
    return FaultError("engine-garbled", message, RESTART_REMEDY, f"{why}\n{line[:500]!r}")
