"""Run one DraftRequest: prefill, denoise canvas after canvas, commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from msgspec.structs import replace

from engine.diffusion.canvas_plan import AFTER_TOKENS, CanvasPlan, JoiningPlan, OpenPlan
from engine.diffusion.denoising import DenoisingStep, denoise_canvases
from engine.diffusion.ranking import Candidate, ranks
from engine.diffusion.validation import at_each_place, check_constraints, sampler_for
from engine.hardware import torch_devices
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.kv_cache import fork_cache
from engine.model.loaded_model import LoadedModel
from engine.protocol.errors import FaultError
from engine.protocol.events import (
    Committed,
    Denoising,
    Device,
    DraftEvent,
    Finished,
    Frame,
    Prefilled,
    Prefilling,
    Stats,
    Token,
)
from engine.protocol.requests import DraftRequest, Span
from engine.text.detokenizer import StreamingDetokenizer

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache


PROGRESS_S = 1.0
"""While a prompt is read, or a step taken, so often is told how far."""


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
        self._step, self._told_at = 0, time.perf_counter()
        self._reading: Prefilling | None = None
        self._sampler = sampler_for(request.sampling, model.sampler)
        at_each_place(request, lambda place: check_constraints(place, request.canvases, model))

    def tell_progress(self, emit: Callable[[DraftEvent], None], share: float) -> None:
        """share: of a pass through the model."""
        if reading := self._reading:
            block = min(self._model.prefill_tokens, reading.prompt_tokens - reading.read_tokens)
            if self._progress_is_due():
                emit(replace(reading, read_tokens=reading.read_tokens + int(share * block)))
        elif self._step and self._progress_is_due():
            emit(Denoising(request_id=self._request.request_id, step=self._step, share=round(share, 2)))

    def _progress_is_due(self) -> bool:
        if due := time.perf_counter() - self._told_at >= PROGRESS_S:
            self._told_at = time.perf_counter()
        return due

    def events(self) -> Iterator[DraftEvent]:
        torch_devices.reset_peak(self._loaded.device)
        drafts: list[_Draft] = []
        for number in range(len(self._request.places)):
            drafts += yield from self._open(number, len(drafts))
        canvas, going = 0, drafts
        while going:
            yield from self._canvases(canvas, going)
            going = [draft for draft in going if not draft.ended]
            for draft in going:
                draft.read_committed(self._model, self._check_cancelled)
            canvas += 1
        for _, group in groupby(drafts, key=lambda draft: draft.place):
            if (of_place := list(group))[0].plan.ranks:
                self._check_cancelled()
                yield from self._ranked(of_place)

    def _open(self, number: int, count: int) -> Generator[DraftEvent, None, list[_Draft]]:
        """Read a place's prompt, and begin its drafts. count: of the drafts before them."""
        request, model, place = self._request, self._model, self._request.places[number]
        request_id = request.request_id
        began, seed = time.perf_counter(), request.seed + count
        given = self._loaded.prompt(place, request.context_tokens)
        reading = self._loaded.prefix.read(given.ids, self._check_cancelled)
        reused, self._told_at = next(reading), began
        self._reading = Prefilling(
            request_id=request_id, place=number, prompt_tokens=len(given.ids), read_tokens=reused
        )
        for read in reading:
            self._reading = replace(self._reading, read_tokens=read)
            if self._progress_is_due():
                yield self._reading
        self._reading = None
        cache = self._loaded.prefix.fork()
        prefill_s = time.perf_counter() - began
        yield Prefilled(
            request_id=request_id,
            place=number,
            prompt_tokens=len(given.ids),
            reused_tokens=reused,
            prefill_s=prefill_s,
            prompt=given.text,
            cut_chars=given.cut_chars,
            after_chars=given.after_chars,
            budget_tokens=given.budget,
        )
        plan: OpenPlan | JoiningPlan
        if place.joins_after:
            plan = JoiningPlan(model, place, given, cache, seed, self._check_cancelled)
        else:
            plan = OpenPlan(model, place, request.canvases, given, cache, seed)
        self._check_cancelled()
        return [
            _Draft(
                number,
                variant,
                torch.Generator().manual_seed((seed + variant) % 2**63),
                plan,
                cache,
                given.ids[-1],
                fork_cache(cache),
                StreamingDetokenizer(model.detokenizer, model.end_ids, given.lead, place.start_text),
                prefill_s,
            )
            for variant in range(request.variants)
        ]

    def _canvases(self, canvas: int, drafts: Sequence[_Draft]) -> Iterator[DraftEvent]:
        """One canvas of each draft, in one batch."""
        began = time.perf_counter()
        tokens = max(draft.plan.tokens for draft in drafts)
        for draft in drafts:
            draft.canvas = draft.plan.canvas(canvas, draft.variant, tokens)
            draft.accepted = {}
        steps = denoise_canvases(
            self._model,
            self._model.open_canvases([draft.cache for draft in drafts], tokens),
            self._sampler,
            [draft.generator for draft in drafts],
            [draft.canvas.constraints for draft in drafts],
        )
        for step in steps:
            self._step, self._told_at = step.number + 1, time.perf_counter()
            draft, elapsed = drafts[step.canvas], time.perf_counter() - began
            ids = step.draft.tolist()
            draft.note_accepted(step, ids)
            if step.last:
                yield from self._commit(canvas, draft, step, ids, elapsed)
            else:
                own = ids[draft.canvas.own]
                texts = draft.reader.show(own) if step.number else draft.reader.noise(own)
                yield self._frame(canvas, draft, step, elapsed, texts)
            if not all(draft.ended for draft in drafts):
                self._check_cancelled()
        self._step = 0

    def _commit(
        self, canvas: int, draft: _Draft, step: DenoisingStep, ids: list[int], elapsed_s: float
    ) -> Iterator[DraftEvent]:
        request_id, place, variant = self._request.request_id, draft.place, draft.variant
        own = draft.canvas.own
        reading = draft.reader.finish(ids[own])
        text = "".join(reading.texts)
        if canvas == 0 and len(self._request.places) * self._request.variants == 1:
            self._refuse_empty(ids, text)
        yield self._frame(canvas, draft, step, elapsed_s, reading.texts)
        yield Committed(request_id=request_id, place=place, variant=variant, canvas=canvas, text=text)
        draft.take(ids, reading.texts, step.number, reading.tokens)
        draft.denoise_s += elapsed_s
        draft.stopped_early &= step.number < self._sampler.max_steps
        done = draft.plan.suffices(canvas, draft.text) or canvas == draft.plan.canvases - 1
        draft.ended = reading.ended or done
        if draft.ended and not draft.plan.ranks:
            yield self._finished(draft)

    def _ranked(self, drafts: Sequence[_Draft]) -> Iterator[DraftEvent]:
        """The drafts of one place that joins what follows."""
        first, place = drafts[0], self._request.places[drafts[0].place]
        assert isinstance(first.plan, JoiningPlan)
        order = ranks(
            self._model,
            first.prompt_cache,
            first.last_id,
            [Candidate(first.plan.lead_ids + draft.ids, draft.text) for draft in drafts],
            first.plan.after_ids[:AFTER_TOKENS],
            place.start_text,
            0.0 if place.changes else place.renoise_share,
        )
        for draft, rank in zip(drafts, order, strict=True):
            yield self._finished(draft, rank)

    def _finished(self, draft: _Draft, rank: int = 0) -> Finished:
        return Finished(
            request_id=self._request.request_id,
            place=draft.place,
            variant=draft.variant,
            text=draft.text,
            stats=draft.stats(self._loaded.device, self._model.precision),
            rank=rank,
            corrected=tuple(draft.corrections),
        )

    def _frame(
        self, canvas: int, draft: _Draft, step: DenoisingStep, elapsed_s: float, texts: list[str]
    ) -> Frame:
        own, pins = draft.canvas.own, draft.canvas.constraints.pins
        columns = zip(texts, step.entropy[own].tolist(), step.accepted[own].tolist(), strict=True)
        return Frame(
            request_id=self._request.request_id,
            place=draft.place,
            variant=draft.variant,
            canvas=canvas,
            step=step.number,
            max_steps=self._sampler.max_steps,
            elapsed_s=elapsed_s,
            tokens=tuple(
                Token(text, round(entropy, 4), accepted, position in pins)
                for position, (text, entropy, accepted) in enumerate(columns, own.start)
            ),
        )

    def _refuse_empty(self, ids: list[int], text: str) -> None:
        """Of the first canvas; behind it there may be no more to say."""
        if all(index == self._model.pad_id for index in ids):
            message = "The model gave nothing but padding."
            raise FaultError("output", message, "Try again; if it goes on, check the model.")
        if not text.strip():
            message = "The model found nothing to add here."
            raise FaultError("output", message, "Write a few more words first, or try again.")


@dataclass
class _Draft:
    """One draft of a batch: what it was given, and what stands."""

    place: int
    variant: int
    generator: torch.Generator
    plan: OpenPlan | JoiningPlan
    prompt_cache: DynamicCache
    """Never written: `cache` is, by each canvas."""
    last_id: int
    """Of the prompt."""
    cache: DynamicCache
    reader: StreamingDetokenizer
    prefill_s: float
    canvas: CanvasPlan = field(init=False)
    """The one that it is at."""
    accepted: dict[int, set[int]] = field(default_factory=dict)
    """Ids that steps of this canvas accepted, by position."""
    text: str = ""
    ids: list[int] = field(default_factory=list)
    """Of the text."""
    corrections: list[Span] = field(default_factory=list)
    stopped_early: bool = True
    ended: bool = False
    committed: list[int] = field(default_factory=list)
    """The last canvas."""
    steps: int = 0
    tokens: int = 0
    denoise_s: float = 0.0

    def note_accepted(self, step: DenoisingStep, ids: list[int]) -> None:
        """The draft of an accepted position is what the model was sure of."""
        for at in step.accepted.nonzero().flatten().tolist() if step.number else ():
            self.accepted.setdefault(at, set()).add(ids[at])

    def take(self, ids: list[int], texts: list[str], steps: int, tokens: int) -> None:
        """A canvas is finished. texts: of its own positions, of which `tokens` come before the end."""
        own = self.canvas.own
        for position, text in enumerate(texts, own.start):
            if text and self.accepted.get(position, set()) - {ids[position]}:
                self.corrections.append(Span(len(self.text), len(self.text) + len(text)))
            self.text += text
        self.ids += ids[own][:tokens]
        self.committed = ids[: own.stop]
        self.steps += steps
        self.tokens += tokens

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
