"""Run one DraftRequest: prefill, denoise canvas after canvas, commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.denoising import DenoisingStep, denoise_canvases
from engine.diffusion.validation import at_each_place, check_constraints, sampler_for, start_ids
from engine.hardware import torch_devices
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.kv_cache import fork_cache
from engine.model.loaded_model import LoadedModel
from engine.protocol.errors import FaultError
from engine.protocol.events import Committed, Device, DraftEvent, Finished, Frame, Prefilled, Stats, Token
from engine.protocol.requests import DraftRequest
from engine.text.detokenizer import StreamingDetokenizer

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache


class DraftBatch:
    """The drafts of one request share every step's network pass."""

    def __init__(
        self, loaded: LoadedModel, request: DraftRequest, check_cancelled: Callable[[], None]
    ) -> None:
        """check_cancelled: is called between two steps while there is something left to do, and may raise.

        Raises input.
        """
        self._loaded = loaded
        self._model = model = loaded.model
        self._request = request
        self._check_cancelled = check_cancelled
        self._sampler = sampler_for(request.sampling, model.sampler)
        at_each_place(request, lambda place: check_constraints(place, request.canvases, model))
        self._starts = at_each_place(request, lambda place: start_ids(place, model))

    def events(self) -> Iterator[DraftEvent]:
        request = self._request
        torch_devices.reset_peak(self._loaded.device)
        drafts: list[_Draft] = []
        for number, place in enumerate(request.places):
            began = time.perf_counter()
            given = self._loaded.prompt(place, request.context_tokens)
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
            for variant in range(request.variants):
                generator = torch.Generator().manual_seed((request.seed + len(drafts)) % 2**63)
                reader = StreamingDetokenizer(self._model.detokenizer, self._model.end_ids, given.lead)
                drafts.append(_Draft(number, variant, generator, fork_cache(cache), reader, prefill_s))
        for canvas in range(request.canvases):
            yield from self._canvases(canvas, drafts)
            drafts = [draft for draft in drafts if not draft.ended]
            if not drafts:
                return
            for draft in drafts:
                draft.read_committed(self._model, self._check_cancelled)

    def _canvases(self, canvas: int, drafts: Sequence[_Draft]) -> Iterator[DraftEvent]:
        """One canvas of each draft, in one batch."""
        began = time.perf_counter()
        for draft in drafts:
            draft.constraints = self._constraints(canvas, draft.place)
        steps = denoise_canvases(
            self._model,
            self._model.open_canvases([draft.cache for draft in drafts]),
            self._sampler,
            [draft.generator for draft in drafts],
            [draft.constraints for draft in drafts],
        )
        for step in steps:
            draft, elapsed = drafts[step.canvas], time.perf_counter() - began
            ids = step.draft.tolist()
            if step.last:
                yield from self._commit(canvas, draft, step, ids, elapsed)
            else:
                texts = draft.reader.show(ids) if step.number else draft.reader.noise(ids)
                yield self._frame(canvas, draft, step, elapsed, texts)
            if not all(draft.ended for draft in drafts):
                self._check_cancelled()

    def _commit(
        self, canvas: int, draft: _Draft, step: DenoisingStep, ids: list[int], elapsed_s: float
    ) -> Iterator[DraftEvent]:
        request_id, place, variant = self._request.request_id, draft.place, draft.variant
        reading = draft.reader.finish(ids)
        text = "".join(reading.texts)
        self._refuse_empty(ids, text, canvas)
        yield self._frame(canvas, draft, step, elapsed_s, reading.texts)
        yield Committed(request_id=request_id, place=place, variant=variant, canvas=canvas, text=text)
        draft.committed = ids
        draft.texts.append(text)
        draft.steps += step.number
        draft.tokens += reading.tokens
        draft.denoise_s += elapsed_s
        draft.stopped_early &= step.number < self._sampler.max_steps
        draft.ended = reading.ended or canvas == self._request.canvases - 1
        if draft.ended:
            text, stats = "".join(draft.texts), draft.stats(self._loaded.device, self._model.precision)
            yield Finished(request_id=request_id, place=place, variant=variant, text=text, stats=stats)

    def _constraints(self, canvas: int, place_number: int) -> CanvasConstraints:
        """Of a draft's canvas of that number. Lengths are the draft's."""
        place, model = self._request.places[place_number], self._model
        begins = canvas * model.canvas_tokens
        pins = {} if canvas else {pin.position: pin.token_id for pin in place.pins}
        end = -1 if place.length_tokens is None else place.length_tokens - begins
        if 0 <= end < model.canvas_tokens:
            pins[end] = model.end_id
        return CanvasConstraints(
            pins=pins,
            banned=model.end_ids,
            banned_before=min(max(0, place.min_tokens - begins), model.canvas_tokens),
            start=None if canvas else self._starts[place_number],
            renoise_share=place.renoise_share,
        )

    def _frame(
        self, canvas: int, draft: _Draft, step: DenoisingStep, elapsed_s: float, texts: list[str]
    ) -> Frame:
        columns = zip(texts, step.entropy.tolist(), step.accepted.tolist(), strict=True)
        return Frame(
            request_id=self._request.request_id,
            place=draft.place,
            variant=draft.variant,
            canvas=canvas,
            step=step.number,
            max_steps=self._sampler.max_steps,
            elapsed_s=elapsed_s,
            tokens=tuple(
                Token(text, round(entropy, 4), accepted, position in draft.constraints.pins)
                for position, (text, entropy, accepted) in enumerate(columns)
            ),
        )

    def _refuse_empty(self, ids: list[int], text: str, canvas: int) -> None:
        if all(index == self._model.pad_id for index in ids):
            message = "The model gave nothing but padding."
            raise FaultError("output", message, "Try again; if it goes on, check the model.")
        if canvas == 0 and not text.strip():
            message = "The model found nothing to add here."
            raise FaultError("output", message, "Write a few more words first, or try again.")


@dataclass
class _Draft:
    """One draft of a batch: what it was given, and what stands."""

    place: int
    variant: int
    generator: torch.Generator
    cache: DynamicCache
    reader: StreamingDetokenizer
    prefill_s: float
    constraints: CanvasConstraints = field(default_factory=CanvasConstraints)
    """Of the canvas that it is at."""
    texts: list[str] = field(default_factory=list)
    stopped_early: bool = True
    ended: bool = False
    committed: list[int] = field(default_factory=list)
    """The last canvas."""
    steps: int = 0
    tokens: int = 0
    denoise_s: float = 0.0

    def read_committed(self, model: DiffusionGemma, check_cancelled: Callable[[], None]) -> None:
        """Prefill the canvas before the next one."""
        began = time.perf_counter()
        for start in range(0, len(self.committed), model.prefill_tokens):
            check_cancelled()
            model.prefill(self.cache, self.committed[start : start + model.prefill_tokens])
        self.prefill_s += time.perf_counter() - began

    def stats(self, device: Device, precision: str) -> Stats:
        return Stats(
            steps=self.steps,
            tokens=self.tokens,
            prefill_s=self.prefill_s,
            denoise_s=self.denoise_s,
            tokens_per_s=self.tokens / max(self.denoise_s, 1e-9),
            tokens_per_step=self.tokens / max(1, self.steps),
            device=device.id,
            precision=precision,
            stopped_early=self.stopped_early,
            peak_bytes=torch_devices.peak_bytes(device),
        )
