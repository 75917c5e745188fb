"""One draft: prefill, canvas after canvas, commit. The Engine that does the work itself.

torch is imported by load(), so that its first event comes at once.
"""

from __future__ import annotations

import gc
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from engine import catalogue, prompt
from engine.asked import check_pins, check_ranges, sampler_for, start_ids
from engine.errors import EngineError, failure
from engine.events import (
    Cancelled,
    Committed,
    Device,
    DraftEvent,
    DraftRequest,
    Finished,
    Frame,
    LoadEvent,
    Loading,
    LoadRequest,
    Place,
    Prefilled,
    PrepareRequest,
    Ready,
    Stats,
    Token,
)
from engine.pieces import Pieces, Reader

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache

    from engine.denoise import Given, Step
    from engine.model import Model
    from engine.prefix import Prefix

log = logging.getLogger(__name__)

T = TypeVar("T")
STARTED = 0.1  # of a load's progress, when the first weight is read


class _CancelledError(Exception):
    """The app asked for it."""


@dataclass(frozen=True)
class _Loaded:
    model: Model
    pieces: Pieces
    device: Device
    prefix: Prefix


class Session:
    """Drafts in this process and thread."""

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None

    @property
    def model(self) -> Model:
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
            event = failure(error, request.request_id)
        self._loaded = None
        self._free_unused()
        yield event

    def _load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        def loading(stage: str, fraction: float, devices: tuple[Device, ...] = ()) -> Loading:
            if cancelled.is_set():
                raise _CancelledError
            return Loading(request_id=request.request_id, stage=stage, fraction=fraction, devices=devices)

        self.unload()
        yield loading("Starting the engine", 0.0)

        from engine import hardware

        present = hardware.devices()
        yield loading("Starting the engine", STARTED / 2, present)
        folder, label = catalogue.find(request.model)
        catalogue.check_files(folder)

        from engine.choice import choose
        from engine.model import Model
        from engine.prefix import Prefix

        device, precision, placement = choose(request, folder, present)
        if device.id == "cpu":
            hardware.limit_threads()

        def read(emit: Callable[[LoadEvent], None]) -> Model:
            def tell(share: float) -> None:
                emit(loading("Reading the model", round(STARTED + (1 - STARTED) * share, 2)))

            return Model(folder, placement, precision, catalogue.packed_models(), tell)

        model = yield from _followed(read)
        hardware.free_unused_memory()  # what packing took
        pieces = Pieces(model.tokenizer.data)
        self._loaded = _Loaded(model, pieces, device, Prefix(model))
        if cancelled.is_set():
            raise _CancelledError
        yield Ready(
            request_id=request.request_id,
            model=request.model,
            label=label,
            device=device,
            precision=model.precision,
            memory_bytes=model.held_bytes(),
            canvas_tokens=model.canvas_tokens,
            context_tokens=model.default_context_tokens,
            max_steps=model.sampler.max_steps,
            t_min=model.sampler.t_min,
            t_max=model.sampler.t_max,
            entropy_bound=model.sampler.entropy_bound,
            continues_only=not model.tokenizer.chats,
        )

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        try:
            check_ranges(request)
            if self._loaded is None:
                raise EngineError("bug", "No model is loaded.", "Load a model first.")
            yield from _Run(self._loaded, request, cancelled).events()
            return
        except _CancelledError:
            yield Cancelled(request_id=request.request_id)
            return
        except Exception as error:
            event = failure(error, request.request_id)
        if self._loaded is not None and event.kind not in ("input", "output"):
            self._loaded.prefix.clear()
        self._free_unused()
        yield event

    def prepare(self, request: PrepareRequest, cancelled: threading.Event) -> None:
        if self._loaded is None:
            return

        def proceed() -> None:
            if cancelled.is_set():
                raise _CancelledError

        place = Place(before=request.before, after=request.after, instruction=request.instruction)
        try:
            proceed()
            self._loaded.prefix.read(_prompt(self._loaded.model, place, request.context_tokens).ids, proceed)
            return
        except _CancelledError:
            return
        except Exception:
            log.info("reading ahead failed", exc_info=True)
        self._loaded.prefix.clear()
        self._free_unused()

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
        from engine import hardware

        gc.collect()
        hardware.free_unused_memory()


class _Run:
    """The run of one request: its drafts share every step's network pass."""

    def __init__(self, loaded: _Loaded, request: DraftRequest, cancelled: threading.Event) -> None:
        self._loaded = loaded
        self._model = loaded.model
        self._request = request
        self._cancelled = cancelled
        self._sampler = sampler_for(request, loaded.model.sampler)
        self._start = start_ids(request, loaded.model)
        check_pins(request, loaded.model)

    def events(self) -> Iterator[DraftEvent]:
        from engine import hardware

        request, model = self._request, self._model
        hardware.reset_peak(self._loaded.device)
        drafts: list[_Draft] = []
        first = Place(before=request.before, after=request.after, instruction=request.instruction)
        for number, place in enumerate((first, *request.more)):
            began = time.perf_counter()
            given = _prompt(model, place, request.context_tokens)
            cache, reused = self._loaded.prefix.read(given.ids, self._check_cancelled)
            prefill_s = time.perf_counter() - began
            yield Prefilled(
                request_id=request.request_id,
                place=number,
                prompt_tokens=len(given.ids),
                reused_tokens=reused,
                prefill_s=prefill_s,
                prompt=given.text,
                cut_chars=given.cut_chars,
            )
            for _ in range(request.variants):
                reader = Reader(self._loaded.pieces, model.end_ids, given.lead)
                drafts.append(_Draft(len(drafts), request.seed, cache, reader, prefill_s))
        canvas = 0
        while drafts:
            yield from self._canvases(canvas, drafts)
            drafts = [draft for draft in drafts if not draft.ended]
            for draft in drafts:
                draft.read_committed(model, self._check_cancelled)
            canvas += 1

    def _canvases(self, canvas: int, drafts: list[_Draft]) -> Iterator[DraftEvent]:
        """One canvas of each draft, in one batch."""
        from engine.denoise import denoise_canvases

        began = time.perf_counter()
        given = self._given(canvas)
        canvases = self._model.open_canvases([draft.cache for draft in drafts])
        generators = [draft.generator for draft in drafts]
        for step in denoise_canvases(self._model, canvases, self._sampler, generators, given):
            draft, elapsed = drafts[step.canvas], time.perf_counter() - began
            ids = step.draft.tolist()
            if step.last:
                yield from self._commit(canvas, draft, step, ids, elapsed, given)
            else:
                texts = draft.reader.show(ids) if step.number else draft.reader.noise(ids)
                yield self._frame(canvas, draft, step, elapsed, texts, given)
            self._check_cancelled()

    def _commit(
        self, canvas: int, draft: _Draft, step: Step, ids: list[int], elapsed_s: float, given: Given
    ) -> Iterator[DraftEvent]:
        request = self._request
        reading = draft.reader.finish(ids)
        text = "".join(reading.texts)
        self._refuse_empty(ids, text, canvas)
        yield self._frame(canvas, draft, step, elapsed_s, reading.texts, given)
        yield Committed(request_id=request.request_id, variant=draft.number, canvas=canvas, text=text)
        draft.commit(ids, text, step.number, reading.tokens, elapsed_s)
        draft.stopped_early &= step.number < self._sampler.max_steps
        draft.ended = reading.ended or canvas == request.canvases - 1
        if draft.ended:
            yield Finished(
                request_id=request.request_id,
                variant=draft.number,
                text="".join(draft.texts),
                stats=draft.stats(self._loaded.device, self._model.precision),
            )

    def _given(self, canvas: int) -> Given:
        """What the writer gives the canvas of that number: positions are the draft's."""
        from engine.denoise import Given

        request, model = self._request, self._model
        begins = canvas * model.canvas_tokens
        pins = dict(request.pins) if canvas == 0 else {}
        end = -1 if request.length_tokens is None else request.length_tokens - begins
        if 0 <= end < model.canvas_tokens:
            pins[end] = model.end_id
        return Given(
            pins=pins,
            banned=model.end_ids,
            banned_before=min(max(0, request.min_tokens - begins), model.canvas_tokens),
            start=self._start if canvas == 0 else None,
            strength=request.strength,
        )

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise _CancelledError

    def _frame(
        self, canvas: int, draft: _Draft, step: Step, elapsed_s: float, texts: list[str], given: Given
    ) -> Frame:
        columns = zip(texts, step.entropy.tolist(), step.accepted.tolist(), strict=True)
        return Frame(
            request_id=self._request.request_id,
            variant=draft.number,
            canvas=canvas,
            step=step.number,
            max_steps=self._sampler.max_steps,
            elapsed_s=elapsed_s,
            tokens=tuple(
                Token(text, round(entropy, 4), accepted, position in given.pins)
                for position, (text, entropy, accepted) in enumerate(columns)
            ),
        )

    def _refuse_empty(self, ids: list[int], text: str, canvas: int) -> None:
        if all(index == self._model.pad_id for index in ids):
            raise EngineError(
                "output", "The model gave nothing but padding.", "Try again; if it goes on, check the model."
            )
        if canvas == 0 and not text.strip():
            raise EngineError(
                "output",
                "The model found nothing to add here.",
                "Write a few more words first, or try again.",
            )


class _Draft:
    """One draft of a batch: what it was given, and what stands."""

    def __init__(
        self, number: int, seed: int, prefilled: DynamicCache, reader: Reader, prefill_s: float
    ) -> None:
        import torch

        from engine.model import fork

        self.number = number
        self.cache = fork(prefilled)
        self.generator = torch.Generator().manual_seed((seed + number) % 2**63)
        self.reader = reader
        self.texts: list[str] = []
        self.stopped_early = True
        self.ended = False
        self._committed: list[int] = []
        self._steps = self._tokens = 0
        self._prefill_s, self._denoise_s = prefill_s, 0.0

    def commit(self, ids: list[int], text: str, steps: int, tokens: int, denoise_s: float) -> None:
        self._committed = ids
        self.texts.append(text)
        self._steps += steps
        self._tokens += tokens
        self._denoise_s += denoise_s

    def read_committed(self, model: Model, proceed: Callable[[], None]) -> None:
        """Prefill the canvas before the next one."""
        began = time.perf_counter()
        for start in range(0, len(self._committed), model.prefill_tokens):
            proceed()
            model.prefill(self.cache, self._committed[start : start + model.prefill_tokens])
        self._prefill_s += time.perf_counter() - began

    def stats(self, device: Device, precision: str) -> Stats:
        from engine import hardware

        return Stats(
            steps=self._steps,
            tokens=self._tokens,
            prefill_s=self._prefill_s,
            denoise_s=self._denoise_s,
            tokens_per_s=self._tokens / max(self._denoise_s, 1e-9),
            tokens_per_step=self._tokens / max(1, self._steps),
            device=device.id,
            precision=precision,
            stopped_early=self.stopped_early,
            peak_bytes=hardware.peak_bytes(device),
        )


def _followed(work: Callable[[Callable[[LoadEvent], None]], T]) -> Generator[LoadEvent, None, T]:
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


def _prompt(model: Model, place: Place, context_tokens: int | None) -> prompt.Prompt:
    wanted = model.default_context_tokens if context_tokens is None else context_tokens
    budget = min(wanted, model.max_context_tokens)
    return prompt.build(model.tokenizer, place.before, place.after, place.instruction, budget)
