"""Serve an engine on stdin and stdout, one JSON object per line."""

from __future__ import annotations

import faulthandler
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, assert_never
from weakref import WeakValueDictionary

from engine.hardware.processor import lower_priority
from engine.protocol.codec import decode_request, encode
from engine.protocol.engine import Engine
from engine.protocol.errors import fault_of
from engine.protocol.events import Event, Failed
from engine.protocol.requests import (
    CancelRequest,
    DraftRequest,
    LinkRequest,
    LoadRequest,
    PrepareRequest,
    PromptRequest,
    Request,
    UnloadRequest,
)

log = logging.getLogger(__name__)

_Job = tuple[Request, threading.Event]


def serve(open_engine: Callable[[Callable[[Event], None]], Engine]) -> None:
    """Answer requests in their order until stdin ends; then end the process, whatever it is doing.

    open_engine is called at the first request: its slow imports neither delay a cancel nor outlive the app.
    It is given what takes events that the engine has to tell while it computes the next one.
    """
    stdin, stdout = _take_pipes()
    faulthandler.enable()  # to stderr, which is logged
    _let_the_writer_go_first()
    jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
    writing = threading.Lock()

    def emit(event: Event) -> None:
        with writing:
            stdout.write(encode(event))
            stdout.flush()

    threading.Thread(target=_read, args=(stdin, jobs, emit), name="requests", daemon=True).start()
    engine: Engine | None = None
    while True:
        request, cancelled = jobs.get()
        try:
            engine = engine or open_engine(emit)
            for event in _answer(engine, request, cancelled):
                emit(event)
        except Exception as error:
            log.exception("%s failed", type(request).__name__)
            if not isinstance(request, PrepareRequest):
                emit(Failed.of(request.request_id, fault_of(error)))


def _answer(engine: Engine, request: Request, cancelled: threading.Event) -> Iterator[Event]:
    match request:
        case LoadRequest():
            yield from engine.load(request, cancelled)
        case DraftRequest():
            yield from engine.draft(request, cancelled)
        case PrepareRequest():
            engine.prepare(request, cancelled)
        case PromptRequest():
            yield from engine.prompt(request, cancelled)
        case LinkRequest():
            yield from engine.measure_link(request, cancelled)
        case UnloadRequest():
            engine.unload()
        case CancelRequest():
            raise AssertionError("a cancel never queues")
        case _:
            assert_never(request)


def _read(stdin: BinaryIO, jobs: queue.SimpleQueue[_Job], emit: Callable[[Event], None]) -> None:
    """The thread that reads. A request's cancel event lives as long as somebody works on the request."""
    cancels: WeakValueDictionary[str, threading.Event] = WeakValueDictionary()
    meanwhile = threading.Event()  # cancels what was to be done while nothing else is asked for
    try:
        for line in stdin:
            try:
                request = decode_request(line)
            except ValueError as error:
                message = f"The engine cannot read this request: {error}"
                details = repr(line[:200])
                emit(Failed(request_id="", kind="input", message=message, details=details))
                continue
            if isinstance(request, CancelRequest):
                if cancelled := cancels.get(request.request_id):
                    cancelled.set()
            else:
                meanwhile.set()
                cancelled = cancels[request.request_id] = threading.Event()
                if isinstance(request, PrepareRequest | LinkRequest):
                    meanwhile = cancelled
                jobs.put((request, cancelled))
                del cancelled
    finally:
        os._exit(0)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes are the protocol's: stray prints (torch's too) go to stderr, stray reads find nothing."""
    sys.stdout.flush()
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return stdin, stdout


def _let_the_writer_go_first() -> None:
    """Lower priority for this process; if memory runs out, Linux ends it and not the app."""
    lower_priority()
    if sys.platform == "linux":
        with suppress(OSError):  # a container may have set a higher one, or /proc may be read-only
            Path("/proc/self/oom_score_adj").write_text("500")
