"""One draft: prefill, canvas after canvas, commit. The Engine that does the work itself.

torch is imported by load(), so that its first event comes at once.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine import catalogue, prompt
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
    Prefilled,
    Ready,
    Stats,
    Token,
)
from engine.pieces import Pieces, Reader

if TYPE_CHECKING:
    import torch
    from transformers.cache_utils import DynamicCache

    from engine.denoise import Sampler, Step
    from engine.model import Model

PREFILL_CHUNK = 512


class _CancelledError(Exception):
    """The app asked for it."""


@dataclass(frozen=True)
class _Loaded:
    model: Model
    pieces: Pieces
    device: Device


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
        try:
            yield from self._load(request, cancelled)
        except _CancelledError:
            self.unload()
            yield Cancelled(request_id=request.request_id)
        except Exception as error:
            event = failure(_known_fault(error), request.request_id)
            self.unload()
            yield event

    def _load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        def loading(stage: str, fraction: float, devices: tuple[Device, ...] = ()) -> Loading:
            if cancelled.is_set():
                raise _CancelledError
            return Loading(request_id=request.request_id, stage=stage, fraction=fraction, devices=devices)

        self.unload()
        yield loading("Starting the engine", 0.0)
        folder, label = catalogue.find(request.model)
        weights = catalogue.check_files(folder)

        import torch

        from engine import hardware

        present = hardware.devices()
        yield loading("Starting the engine", 0.3, present)
        device = hardware.resolve(request.device, present)
        if device.id == "cpu":
            hardware.limit_threads()

        from engine.model import Model

        yield loading("Reading the model", 0.6)
        precision = hardware.best_precision(device, sum(path.stat().st_size for path in weights))
        model = Model(folder, torch.device(device.id), precision)
        pieces = Pieces(model.tokenizer.data)
        self._loaded = _Loaded(model, pieces, device)
        if cancelled.is_set():
            raise _CancelledError
        yield Ready(
            request_id=request.request_id,
            model=request.model,
            label=label,
            device=device,
            precision=model.precision,
            memory_bytes=model.memory_bytes(model.default_context_tokens),
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
            yield from _Draft(self._loaded, request, cancelled).events()
            return
        except _CancelledError:
            yield Cancelled(request_id=request.request_id)
            return
        except Exception as error:
            event = failure(_known_fault(error), request.request_id)
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
        """Needs the failed draft's frames to be gone: call it outside `except`."""
        from engine import hardware

        gc.collect()
        hardware.free_unused_memory()


class _Draft:
    """The run of one request."""

    def __init__(self, loaded: _Loaded, request: DraftRequest, cancelled: threading.Event) -> None:
        self._model = loaded.model
        self._pieces = loaded.pieces
        self._device = loaded.device
        self._request = request
        self._cancelled = cancelled
        self._sampler = _sampler(loaded.model.sampler, request)
        _check_pins(request, loaded.model)

    def events(self) -> Iterator[DraftEvent]:
        request, model = self._request, self._model
        given = prompt.build(
            model.tokenizer, request.before, request.after, request.instruction, self._context_tokens()
        )
        began = time.perf_counter()
        cache = model.new_cache()
        self._append(cache, given.ids)
        prefill_s = time.perf_counter() - began
        yield Prefilled(
            request_id=request.request_id,
            prompt_tokens=len(given.ids),
            reused_tokens=0,
            prefill_s=prefill_s,
            prompt=given.text,
            cut_chars=given.cut_chars,
        )
        for variant in range(request.variants):
            reader = Reader(self._pieces, model.end_ids, given.lead)
            yield from self._variant(variant, cache, reader, prefill_s)

    def _context_tokens(self) -> int:
        wanted = self._request.context_tokens
        return (
            self._model.default_context_tokens
            if wanted is None
            else min(wanted, self._model.max_context_tokens)
        )

    def _variant(
        self, variant: int, prefilled: DynamicCache, reader: Reader, prefill_s: float
    ) -> Iterator[DraftEvent]:
        import torch

        from engine.model import fork

        request = self._request
        generator = torch.Generator().manual_seed(request.seed + variant)
        cache = fork(prefilled)
        texts: list[str] = []
        steps = tokens = 0
        denoise_s = 0.0
        stopped_early = True
        for canvas in range(request.canvases):
            began = time.perf_counter()
            last: Step | None = None
            for step in self._steps(cache, generator, first_canvas=canvas == 0):
                last = step
                if step.last:
                    break
                shown = step.draft.tolist()
                texts_now = reader.show(shown) if step.number else reader.noise(shown)
                yield self._frame(variant, canvas, step, time.perf_counter() - began, texts_now)
            assert last is not None
            ids = last.draft.tolist()
            reading = reader.finish(ids)
            text = "".join(reading.texts)
            self._refuse_empty(ids, text, canvas)
            elapsed = time.perf_counter() - began
            yield self._frame(variant, canvas, last, elapsed, reading.texts)
            yield Committed(request_id=request.request_id, variant=variant, canvas=canvas, text=text)
            texts.append(text)
            steps += last.number
            tokens += reading.tokens
            denoise_s += elapsed
            stopped_early &= last.number < self._sampler.max_steps
            if reading.ended or canvas == request.canvases - 1:
                break
            began = time.perf_counter()
            self._append(cache, ids)
            prefill_s += time.perf_counter() - began
        yield Finished(
            request_id=request.request_id,
            variant=variant,
            text="".join(texts),
            stats=Stats(
                steps=steps,
                tokens=tokens,
                prefill_s=prefill_s,
                denoise_s=denoise_s,
                tokens_per_s=tokens / max(denoise_s, 1e-9),
                tokens_per_step=tokens / max(1, steps),
                device=self._device.id,
                precision=self._model.precision,
                stopped_early=stopped_early,
            ),
        )

    def _append(self, cache: DynamicCache, ids: list[int]) -> None:
        for start in range(0, len(ids), PREFILL_CHUNK):
            self._check_cancelled()
            self._model.prefill(cache, ids[start : start + PREFILL_CHUNK])
        self._check_cancelled()

    def _steps(
        self, cache: DynamicCache, generator: torch.Generator, *, first_canvas: bool
    ) -> Iterator[Step]:
        from engine.denoise import denoise_canvas

        pins = dict(self._request.pins) if first_canvas else {}
        for step in denoise_canvas(self._model, cache, self._sampler, generator, pins):
            yield step
            self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise _CancelledError

    def _frame(self, variant: int, canvas: int, step: Step, elapsed_s: float, texts: list[str]) -> Frame:
        pinned = dict(self._request.pins) if canvas == 0 else {}
        columns = zip(texts, step.entropy.tolist(), step.accepted.tolist(), strict=True)
        return Frame(
            request_id=self._request.request_id,
            variant=variant,
            canvas=canvas,
            step=step.number,
            max_steps=self._sampler.max_steps,
            elapsed_s=elapsed_s,
            tokens=tuple(
                Token(text, round(entropy, 4), accepted, position in pinned)
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


def check_ranges(request: DraftRequest) -> None:
    """What can be told without the model. Raises input, naming the value and the range."""

    def within(name: str, value: float | None, lowest: float, highest: float) -> None:
        if value is not None and not lowest <= value <= highest:
            raise EngineError("input", f"{name} is {value}.", f"Choose from {lowest} to {highest}.")

    within("The number of steps", request.max_steps, 1, 128)
    within("The number of canvases", request.canvases, 1, 4)
    within("The number of variants", request.variants, 1, 4)
    within("The seed", request.seed, 0, 2**63 - 1)
    within("The context size in tokens", request.context_tokens, 64, 2**20)
    within("The lower temperature", request.t_min, 0.0, 5.0)
    within("The upper temperature", request.t_max, 0.01, 5.0)
    within("The entropy bound", request.entropy_bound, 0.0, 100.0)


def _check_pins(request: DraftRequest, model: Model) -> None:
    taken: dict[int, int] = {}
    for position, token in request.pins:
        if not 0 <= position < model.canvas_tokens:
            raise EngineError(
                "input",
                f"A token is pinned at position {position}.",
                f"Choose from 0 to {model.canvas_tokens - 1}.",
            )
        if not 0 <= token < model.vocab_size:
            raise EngineError(
                "input",
                f"The token {token} is pinned, which this model does not have.",
                f"Choose from 0 to {model.vocab_size - 1}.",
            )
        if taken.setdefault(position, token) != token:
            raise EngineError(
                "input",
                f"Position {position} is pinned to two tokens ({taken[position]} and {token}).",
                "Pin each position once.",
            )


def _sampler(defaults: Sampler, request: DraftRequest) -> Sampler:
    asked = {name: getattr(request, name) for name in ("max_steps", "t_min", "t_max", "entropy_bound")}
    given = {name: value for name, value in asked.items() if value is not None}
    sampler = replace(defaults, early_stop=request.early_stop, **given)
    if sampler.t_min > sampler.t_max:
        raise EngineError(
            "input",
            f"The lower temperature ({sampler.t_min}) is above the upper one ({sampler.t_max}).",
            "Lower the first or raise the second.",
        )
    return sampler


def _known_fault(error: Exception) -> Exception:
    """torch tells faults of the machine in words only."""
    text = str(error)
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return EngineError(
            "out-of-memory",
            "There is not enough memory for this draft.",
            "Choose a smaller context size, fewer variants or another device.",
            text,
        )
    if type(error).__name__ == "AcceleratorError":
        return EngineError(
            "device-lost", "The device stopped working.", "Restart the engine or choose another device.", text
        )
    return error
