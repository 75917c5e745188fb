"""ProcessEngine: runs another engine in a child process and survives its death."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence

import msgspec

from engine.hardware.nvidia import engine_environment
from engine.installation import python_command
from engine.protocol.errors import FaultError, engine_missing
from engine.protocol.events import (
    Cancelled,
    DraftEvent,
    Event,
    Failed,
    Finished,
    Frame,
    LinkEvent,
    LinkMeasured,
    LoadEvent,
    Loading,
    Prefilled,
    Ready,
)
from engine.protocol.requests import (
    CancelRequest,
    DraftRequest,
    LinkRequest,
    LoadRequest,
    PrepareRequest,
    PromptRequest,
)
from engine.runtime.child_process import RESTART_REMEDY, ChildProcess

log = logging.getLogger(__name__)
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0
CARD_ID_PREFIXES = ("cuda", "xpu")  # as their ids begin; the best device comes first

_OfModel = DraftRequest | PromptRequest


class ProcessEngine:
    """Runs `command`, by default `-m engine serve` by the engine's Python, asked for at each start.

    The child starts with the first request. When it dies or prints what is no event, the request fails, and
    the next one starts another child, loads the last model again and goes on. Deaths in a row delay that
    start more and more. A child that does not end a cancelled request within cancel_grace_s or 20 steps is
    killed.
    """

    on_lost: Callable[[], object] | None = None
    """Called, in a thread of its own, when a child has gone, and its model with it."""

    def __init__(self, command: Sequence[str] | None = None, *, cancel_grace_s: float = 30.0) -> None:
        self._command = command
        self._cancel_grace_s = cancel_grace_s
        self._child: ChildProcess | None = None
        self._last_load: LoadRequest | None = None
        self._step_s = 0.0
        self._deaths = 0
        self._start_at = -math.inf

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        self._last_load = request
        if self._child:
            self._child.loaded = False
        if self._child and self._child.device_environment != engine_environment(request.device):
            self.close()  # what a process sees of the GPUs is settled when it starts
        try:
            child = yield from self._running_child(request, cancelled)
            if child:
                yield from self._load(child, request, cancelled)
        except FaultError as error:
            yield self._failed(error, request)

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        yield from self._with_model(request, cancelled)

    def prompt(self, request: PromptRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        yield from self._with_model(request, cancelled)

    def _with_model(self, request: _OfModel, cancelled: threading.Event) -> Iterator[DraftEvent]:
        """Loads it again where the child was started afresh."""
        try:
            child = yield from self._running_child(request, cancelled)
            if child and self._last_load and not child.loaded:
                again = msgspec.structs.replace(self._last_load, request_id=request.request_id)
                yield from self._load(child, again, cancelled)
                if not child.loaded:
                    return
            for event in self._converse(child, request, cancelled) if child else ():
                if isinstance(event, DraftEvent):
                    yield event
        except FaultError as error:
            yield self._failed(error, request)

    def prepare(self, request: PrepareRequest, cancelled: threading.Event) -> None:
        """Told to a child that has its model, which reads on until its next request. Starts no child."""
        child = self._child
        if child and child.loaded and child.alive() and not cancelled.is_set():
            try:
                child.send(request)
            except FaultError as error:
                log.info("nothing is read ahead: %s", error)

    def measure_link(self, request: LinkRequest, cancelled: threading.Event) -> Iterator[LinkEvent]:
        """In a child that has its model. Starts no child."""
        child = self._child
        if not (child and child.loaded and child.alive()):
            yield Cancelled(request_id=request.request_id)
            return
        try:
            for event in self._converse(child, request, cancelled):
                if isinstance(event, LinkEvent):
                    yield event
        except FaultError as error:
            yield self._failed(error, request)

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
        self, request: LoadRequest | _OfModel, cancelled: threading.Event
    ) -> Generator[Loading | Cancelled, None, ChildProcess | None]:
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
            if (command := self._command or python_command("engine", "serve")) is None:
                raise engine_missing()
            self._child = ChildProcess(command, engine_environment(device), self._tell_lost)
        return self._child

    def _load(
        self, child: ChildProcess, request: LoadRequest, cancelled: threading.Event
    ) -> Iterator[LoadEvent]:
        for event in self._converse(child, request, cancelled):
            if not isinstance(event, LoadEvent):
                raise FaultError("engine-garbled", "The engine answered a load with a draft.", RESTART_REMEDY)
            if isinstance(event, Loading) and event.devices:
                child.used_card = request.device != "cpu" and event.devices[0].id.startswith(CARD_ID_PREFIXES)
            child.loaded = isinstance(event, Ready)
            yield event

    def _converse(
        self, child: ChildProcess, request: LoadRequest | LinkRequest | _OfModel, cancelled: threading.Event
    ) -> Iterator[Event]:
        """One request and its events. What an earlier, cancelled request still says is skipped."""
        drafts = len(request.places) * request.variants if isinstance(request, DraftRequest) else 1
        unfinished = max(1, drafts)  # even no draft has an end: it is refused
        kill_at = math.inf
        child.send(request)
        try:
            while unfinished:
                if cancelled.is_set() and kill_at == math.inf:
                    kill_at = time.monotonic() + max(self._cancel_grace_s, 20 * self._step_s)
                    child.send(CancelRequest(request_id=request.request_id))
                if time.monotonic() > kill_at:
                    raise FaultError("engine-died", "The engine did not stop when asked to.", RESTART_REMEDY)
                event = child.receive()
                if event is None or event.request_id not in (request.request_id, ""):
                    continue
                match event:
                    case Frame() if event.step:
                        self._step_s = event.elapsed_s / event.step
                    case Finished():
                        unfinished -= 1
                        self._deaths = 0
                    case Ready() | Cancelled() | Failed() | LinkMeasured():
                        unfinished = 0
                    case Prefilled() if isinstance(request, PromptRequest):
                        unfinished = 0
                if isinstance(event, Failed) and event.kind == "device-lost":
                    self.close()  # a process that lost its device cannot use it again
                yield msgspec.structs.replace(event, request_id=request.request_id)
        finally:
            if unfinished and kill_at == math.inf:
                with contextlib.suppress(FaultError):
                    child.send(CancelRequest(request_id=request.request_id))

    def _tell_lost(self) -> None:
        if self.on_lost:
            self.on_lost()

    def _failed(self, error: FaultError, request: LoadRequest | LinkRequest | _OfModel) -> Failed:
        if error.fault.kind in ("engine-died", "engine-garbled"):
            self._bury(error)
        return Failed.of(request.request_id, error.fault)

    def _bury(self, error: FaultError) -> None:
        child, self._child = self._child, None
        asked_for = child is not None and child.killed
        log.log(logging.INFO if asked_for else logging.WARNING, "%s\n%s", error, error.fault.details)
        if child:
            child.kill()
            child.end()
        if asked_for:
            return
        self._start_at = time.monotonic() + min(FIRST_DELAY_S * 2**self._deaths, LONGEST_DELAY_S)
        self._deaths += 1
