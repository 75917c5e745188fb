"""LocalEngine: drafts in this process and thread.

torch is imported by load(), so that its first event comes at once.
"""

from __future__ import annotations

import gc
import logging
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine.checkpoints import catalogue
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.memory_estimate import MAX_BATCH
from engine.diffusion.validation import check_ranges
from engine.protocol.capabilities import EngineCapabilities
from engine.protocol.errors import FaultError, fault_of
from engine.protocol.events import (
    Cancelled,
    DraftEvent,
    Failed,
    LinkEvent,
    LinkMeasured,
    LoadEvent,
    Loading,
    Prefilled,
    Ready,
)
from engine.protocol.requests import DraftRequest, LinkRequest, LoadRequest, PrepareRequest, PromptRequest

if TYPE_CHECKING:
    from engine.model.diffusion_gemma import DiffusionGemma
    from engine.model.loaded_model import LoadedModel

log = logging.getLogger(__name__)

T = TypeVar("T")
CAPABILITIES = EngineCapabilities(
    frames=True, pins=True, start_text=True, reads_ahead=True, max_batch=MAX_BATCH
)
STARTED = 0.1  # of a load's progress, when the first weight is read


class _CancelledError(Exception):
    """The app asked for it."""


class LocalEngine:
    """Drafts in this process and thread."""

    def __init__(self, on_progress: Callable[[DraftEvent], None] = lambda _: None) -> None:
        """on_progress: takes the events that tell how far a slow step is, while it is computed."""
        self._on_progress = on_progress
        self._loaded: LoadedModel | None = None

    @property
    def model(self) -> DiffusionGemma:
        """What is loaded, for measurements."""
        assert self._loaded is not None
        return self._loaded.model

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        event: LoadEvent
        try:
            yield from self._load(request, cancelled)
            return
        except _CancelledError:
            event = Cancelled(request_id=request.request_id)
        except Exception as error:
            event = Failed.of(request.request_id, fault_of(error))
        self._loaded = None
        self._free_unused()
        yield event

    def _load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        check_cancelled = _cancel_check(cancelled)

        def loading(stage: str, fraction: float, **known: Any) -> Loading:
            check_cancelled()
            return Loading(request_id=request.request_id, stage=stage, fraction=fraction, **known)

        self.unload()
        yield loading("Starting the engine", 0.0)

        from engine.hardware import torch_devices

        present = torch_devices.devices()
        idle = torch_devices.idle_card()
        yield loading("Starting the engine", STARTED / 2, devices=present, idle_card=idle)
        folder, label = catalogue.resolve_model(request.model)
        checkpoint = Checkpoint.open(folder)

        from engine.model.diffusion_gemma import DiffusionGemma
        from engine.model.load_config import resolve_load
        from engine.model.loaded_model import LoadedModel
        from engine.model.prefix_cache import PrefixCache

        plan = resolve_load(request, checkpoint, present)
        if plan.device.id == "cpu":
            torch_devices.limit_threads()

        def read(emit: Callable[[LoadEvent], None]) -> DiffusionGemma:
            def on_progress(share: float) -> None:
                emit(loading("Reading the model", round(STARTED + (1 - STARTED) * share, 2)))

            return DiffusionGemma(plan, on_progress)

        model = yield from _run_in_thread(read)
        torch_devices.free_unused_memory()  # what packing took
        self._loaded = LoadedModel(model, plan.device, PrefixCache(model))
        check_cancelled()
        yield Ready(
            request_id=request.request_id,
            model=request.model,
            label=label,
            device=plan.device,
            precision=model.precision,
            memory_bytes=model.held_bytes(),
            streamed_bytes=plan.streamed_bytes,
            unsaved_bytes=model.unsaved_bytes,
            canvas_tokens=model.canvas_tokens,
            context_tokens=model.max_context_tokens,
            max_steps=model.sampler.max_steps,
            t_min=model.sampler.t_min,
            t_max=model.sampler.t_max,
            entropy_bound=model.sampler.entropy_bound,
            capabilities=msgspec.structs.replace(
                CAPABILITIES, instructions=model.tokenizer.chats, max_batch=plan.max_batch
            ),
        )

    def prompt(self, request: PromptRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:  # noqa: ARG002
        try:
            if self._loaded is None:
                raise FaultError("bug", "No model is loaded.", "Load a model first.")
            given = self._loaded.prompt(request.place, request.context_tokens)
            yield Prefilled(
                request_id=request.request_id,
                prompt_tokens=len(given.ids),
                reused_tokens=0,
                prefill_s=0.0,
                prompt=given.text,
                cut_chars=given.cut_chars,
                after_chars=given.after_chars,
                budget_tokens=given.budget,
            )
        except Exception as error:
            yield Failed.of(request.request_id, fault_of(error))

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        try:
            check_ranges(request, CAPABILITIES.max_batch)
            if self._loaded is None:
                raise FaultError("bug", "No model is loaded.", "Load a model first.")

            from engine.diffusion.draft_batch import DraftBatch

            with self._loaded.model.cancelled_by(_cancel_check(cancelled)) as check_cancelled:
                batch = DraftBatch(self._loaded, request, check_cancelled)
                with self._loaded.model.watched_by(partial(batch.tell_progress, self._on_progress)):
                    yield from batch.events()
            return
        except _CancelledError:
            yield Cancelled(request_id=request.request_id)
            return
        except Exception as error:
            event = Failed.of(request.request_id, fault_of(error))
        if self._loaded is not None and event.kind not in ("input", "output"):
            self._loaded.prefix.clear()
        self._free_unused()
        yield event

    def prepare(self, request: PrepareRequest, cancelled: threading.Event) -> None:
        if self._loaded is None:
            return
        try:
            with self._loaded.model.cancelled_by(_cancel_check(cancelled)) as check_cancelled:
                check_cancelled()
                prompt = self._loaded.prompt(request.place, request.context_tokens)
                deque(self._loaded.prefix.read(prompt.ids, check_cancelled), maxlen=0)
            return
        except _CancelledError:
            return
        except Exception:
            log.info("reading ahead failed", exc_info=True)
        self._loaded.prefix.clear()
        self._free_unused()

    def measure_link(self, request: LinkRequest, cancelled: threading.Event) -> Iterator[LinkEvent]:
        from engine.hardware import selection, torch_devices
        from engine.model import link_speed

        event: LinkEvent
        try:
            device = selection.resolve_device(request.device, torch_devices.devices())
            rate = link_speed.measure_card(device, _cancel_check(cancelled))
            event = LinkMeasured(request_id=request.request_id, bytes_per_s=rate)
        except _CancelledError:
            event = Cancelled(request_id=request.request_id)
        except Exception as error:
            log.info("the link cannot be measured", exc_info=True)
            event = Failed.of(request.request_id, fault_of(error))
        self._free_unused()
        yield event

    def unload(self) -> None:
        if self._loaded is not None:
            self._loaded = None
            self._free_unused()

    def close(self) -> None:
        self.unload()

    @staticmethod
    def _free_unused() -> None:
        """Needs the frames of what failed to be gone: call it outside `except`."""
        if "torch" not in sys.modules:
            return
        from engine.hardware import torch_devices

        gc.collect()
        torch_devices.free_unused_memory()


def _cancel_check(cancelled: threading.Event) -> Callable[[], None]:
    """What is called between two steps of some work."""

    def check_cancelled() -> None:
        if cancelled.is_set():
            raise _CancelledError

    return check_cancelled


def _run_in_thread(work: Callable[[Callable[[LoadEvent], None]], T]) -> Generator[LoadEvent, None, T]:
    """Do the work in a thread of its own; yield what it emits, once each, and return what it returns."""
    emitted: queue.SimpleQueue[LoadEvent | None] = queue.SimpleQueue()
    with ThreadPoolExecutor(1, "reading") as pool:
        future = pool.submit(work, emitted.put)
        future.add_done_callback(lambda _: emitted.put(None))
        last: LoadEvent | None = None
        while (event := emitted.get()) is not None:
            if event != last:
                yield event
            last = event
        return future.result()
