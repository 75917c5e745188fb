"""The worker thread: owns an Engine, iterates its drafts, hands the events to the event loop."""

from __future__ import annotations

import logging
import queue
import statistics
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from weakref import WeakValueDictionary

from PySide6.QtCore import QObject, QThread, Signal

from app.widgets.timers import timer
from engine.protocol.engine import Engine
from engine.protocol.errors import fault_of
from engine.protocol.events import Cancelled, Event, Failed, Frame
from engine.protocol.requests import DraftRequest, LinkRequest, LoadRequest, PrepareRequest, PromptRequest
from engine.runtime.process_engine import ProcessEngine

log = logging.getLogger(__name__)

_Answered = LoadRequest | PromptRequest | DraftRequest | LinkRequest
CLOSE_TRIES, CLOSE_TRY_MS = 10, 300


class EngineThread(QThread):
    """Start it, then `async for event in worker.draft(request)` on the event loop that runs on Qt's.

    Requests run one after the other, each with a `request_id` of its own. To give one up, cancel its id or
    the task that iterates it, or close the iterator. A fault does not raise: the last event is a failed one.
    Frames are conflated for each place and variant: a slow consumer gets the newest. All other events arrive
    in order.

    open_engine is called, and the engine used, in the worker thread.
    """

    # request_id; nothing moved for hang_s or 20 median steps, or, before the first step, for first_hang_s.
    # Told again each time that long has passed.
    stalled = Signal(str)
    lost = Signal()  # the engine's process has gone, and its model with it

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        parent: QObject | None = None,
        *,
        hang_s: float = 30.0,
        first_hang_s: float = 120.0,
    ) -> None:
        super().__init__(parent)
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._hang_s = hang_s
        self._first_hang_s = first_hang_s
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._jobs: WeakValueDictionary[str, _Job] = WeakValueDictionary()
        self._reading_ahead = threading.Event()  # cancels the last prepare
        self._measuring = ""  # the last request that measures a link
        self.taps: list[Callable[[Event], object]] = []
        """Are called in the worker thread with each event, before frames are conflated."""
        self._closed = False
        self._watch = timer(self, self._on_watch, round(min(1.0, hang_s / 4, first_hang_s / 4) * 1000))

    # ---------------------------------------------------------------- called on the event loop's thread

    def load(self, request: LoadRequest) -> AsyncGenerator[Event, None]:
        return self._iterate(self._new_job(request))

    def draft(self, request: DraftRequest) -> AsyncGenerator[Event, None]:
        return self._iterate(self._new_job(request))

    def prompt(self, request: PromptRequest) -> AsyncGenerator[Event, None]:
        return self._iterate(self._new_job(request))

    def measure_link(self, request: LinkRequest) -> AsyncGenerator[Event, None]:
        """Until anything is asked for that somebody waits for."""
        return self._iterate(self._new_job(request))

    def cancel(self, request_id: str) -> None:
        """Its iterator ends with a cancelled event now, the engine's work within a step."""
        if job := self._jobs.get(request_id):
            job.cancel()

    def prepare(self, request: PrepareRequest) -> None:
        """Read ahead until anything else is asked for. Tells nothing; without a model it does nothing."""
        self._reading_ahead.set()
        self._reading_ahead = threading.Event()
        self._work.put(partial(self._prepare, request, self._reading_ahead))

    def unload(self) -> None:
        """What is asked for by now fails."""
        self.restart()  # a step may hang
        self._ask(self._unload)

    def restart(self) -> bool:
        """End the engine's process; what runs in it fails. False if the engine has no process of its own."""
        if isinstance(self._engine, ProcessEngine):
            self._engine.kill()
            return True
        return False

    def close(self) -> bool:
        """Cancel everything, close the engine, wait for the thread. False: only os._exit ends it."""
        self._closed = True
        self._watch.stop()
        for job in list(self._jobs.values()):
            job.cancel()
        self._ask(None)
        for _ in range(CLOSE_TRIES):
            if self.wait(CLOSE_TRY_MS):
                return True
            self.restart()
        log.error("the engine thread does not end")
        return False

    def _new_job(self, request: _Answered) -> _Job:
        job = self._jobs[request.request_id] = _Job(request)
        if self._closed:
            job.cancel()
        return job

    def _ask(self, work: Callable[[], None] | None) -> None:
        self._reading_ahead.set()
        self.cancel(self._measuring)
        self._work.put(work)

    async def _iterate(self, job: _Job) -> AsyncGenerator[Event, None]:
        import asyncio  # see app.worker.tasks

        wake = asyncio.Event()
        job.wake = partial(asyncio.get_running_loop().call_soon_threadsafe, wake.set)
        job.moved_at = time.monotonic()
        self._ask(partial(self._run_job, job))
        if isinstance(job.request, LinkRequest):
            self._measuring = job.request.request_id
        self._watch.start()
        try:
            while not job.cancelled.is_set():
                if event := job.take():
                    yield event
                    await asyncio.sleep(0)  # keys and paint come between two events
                elif job.is_over():
                    return
                else:
                    await wake.wait()
                    wake.clear()
            yield Cancelled(request_id=job.request.request_id)
        finally:
            job.cancelled.set()

    def _on_watch(self) -> None:
        if not self._jobs:
            self._watch.stop()
        # The first one runs, or waits for what was given up and has not ended yet.
        job = next((job for job in list(self._jobs.values()) if job.is_open()), None)
        if job and job.is_stalled(self._hang_s, self._first_hang_s):
            self.stalled.emit(job.request.request_id)

    # ---------------------------------------------------------------- called in the worker thread

    def run(self) -> None:
        while work := self._work.get():
            try:
                work()
            except Exception:
                log.exception("the engine failed outside a draft")
        if self._engine:
            self._engine.close()

    def _run_job(self, job: _Job) -> None:
        if job.cancelled.is_set():
            return
        job.moved_at = time.monotonic()
        request = job.request
        try:
            self._engine = self._engine or self._open_engine()
            if isinstance(self._engine, ProcessEngine):
                self._engine.on_lost = self.lost.emit
            for event in _events(self._engine, request, job.cancelled):
                if event.request_id == request.request_id:
                    self._post(job, event)
        except Exception as error:
            log.exception("%s failed", type(request).__name__)
            self._post(job, Failed.of(request.request_id, fault_of(error)))
        finally:
            job.end()

    def _post(self, job: _Job, event: Event) -> None:
        for tap in self.taps:
            tap(event)
        job.post(event)

    def _prepare(self, request: PrepareRequest, cancelled: threading.Event) -> None:
        if self._engine:
            self._engine.prepare(request, cancelled)

    def _unload(self) -> None:
        if self._engine:
            self._engine.unload()


def _events(engine: Engine, request: _Answered, cancelled: threading.Event) -> Iterator[Event]:
    match request:
        case LoadRequest():
            return engine.load(request, cancelled)
        case LinkRequest():
            return engine.measure_link(request, cancelled)
        case PromptRequest():
            return engine.prompt(request, cancelled)
        case DraftRequest():
            return engine.draft(request, cancelled)


class _Job:
    """One request, and the events that its consumer has not taken yet."""

    def __init__(self, request: _Answered) -> None:
        self.request = request
        self.cancelled = threading.Event()
        self.wake: Callable[[], object] = lambda: None
        self.moved_at = 0.0
        self._stepped_at = 0.0
        self._step_s: deque[float] = deque(maxlen=32)
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()
        self._ended = False

    def cancel(self) -> None:
        self.cancelled.set()
        self.wake()

    def post(self, event: Event) -> None:
        with self._lock:
            self.moved_at = time.monotonic()
            had_events = bool(self._events)
            if isinstance(event, Frame):
                self._note_step(event)
                self._events = deque(old for old in self._events if not _is_older(old, event))
            self._events.append(event)
        if not had_events and not self.cancelled.is_set():
            self.wake()

    def _note_step(self, frame: Frame) -> None:
        if frame.place == frame.variant == 0:
            if frame.step:
                self._step_s.append(self.moved_at - self._stepped_at)
            self._stepped_at = self.moved_at

    def take(self) -> Event | None:
        with self._lock:
            return self._events.popleft() if self._events else None

    def end(self) -> None:
        self._ended = True
        self.wake()

    def is_open(self) -> bool:
        """Whether the engine has been asked for it and still has something to do."""
        return bool(self.moved_at) and not self._ended and not self.cancelled.is_set()

    def is_over(self) -> bool:
        with self._lock:
            return self._ended and not self._events

    def is_stalled(self, hang_s: float, first_hang_s: float) -> bool:
        """True once each time that nothing has moved for so long."""
        with self._lock:
            limit_s = max(hang_s, 20 * statistics.median(self._step_s)) if self._step_s else first_hang_s
            if time.monotonic() - self.moved_at < limit_s:
                return False
            self.moved_at = time.monotonic()
            return True


def _is_older(event: Event, frame: Frame) -> bool:
    return isinstance(event, Frame) and (event.place, event.variant) == (frame.place, frame.variant)
