"""Run one DraftRequest: prefill, denoise canvas after canvas, commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.denoising import DenoisingStep, denoise_canvases
from engine.diffusion.validation import check_positions, sampler_for, start_ids
from engine.hardware import torch_devices
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.kv_cache import fork_cache
from engine.protocol.errors import FaultError
from engine.protocol.events import Committed, Device, DraftEvent, Finished, Frame, Prefilled, Stats, Token
from engine.protocol.requests import DraftPlace, DraftRequest
from engine.text.detokenizer import StreamingDetokenizer

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache
from engine.model.loaded_model import LoadedModel


class DraftBatch:
    """The drafts of one request share every step's network pass."""

    def __init__(
        self, loaded: LoadedModel, request: DraftRequest, check_cancelled: Callable[[], None]
    ) -> None:
        """check_cancelled: is called between two steps while there is something left to do, and may raise."""
        self._loaded = loaded
        self._model = loaded.model
        self._request = request
        self._check_cancelled = check_cancelled
        self._sampler = sampler_for(request, loaded.model.sampler)
        self._start = start_ids(request, loaded.model)
        check_positions(request, loaded.model)

    def events(self) -> Iterator[DraftEvent]:
        request, model = self._request, self._model
        torch_devices.reset_peak(self._loaded.device)
        drafts: list[_Draft] = []
        first = DraftPlace(before=request.before, after=request.after, instruction=request.instruction)
        for number, place in enumerate((first, *request.more)):
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
            for _ in range(request.variants):
                reader = StreamingDetokenizer(self._loaded.detokenizer, model.end_ids, given.lead)
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
        began = time.perf_counter()
        given = self._given(canvas)
        canvases = self._model.open_canvases([draft.cache for draft in drafts])
        generators = [draft.generator for draft in drafts]
        for step in denoise_canvases(self._model, canvases, self._sampler, generators, [given] * len(drafts)):
            draft, elapsed = drafts[step.canvas], time.perf_counter() - began
            ids = step.draft.tolist()
            if step.last:
                yield from self._commit(canvas, draft, step, ids, elapsed, given)
            else:
                texts = draft.reader.show(ids) if step.number else draft.reader.noise(ids)
                yield self._frame(canvas, draft, step, elapsed, texts, given)
            if not all(draft.ended for draft in drafts):
                self._check_cancelled()

    def _commit(
        self,
        canvas: int,
        draft: _Draft,
        step: DenoisingStep,
        ids: list[int],
        elapsed_s: float,
        given: CanvasConstraints,
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

    def _given(self, canvas: int) -> CanvasConstraints:
        """What the writer gives the canvas of that number: positions are the draft's."""
        request, model = self._request, self._model
        begins = canvas * model.canvas_tokens
        pins = dict(request.pins) if canvas == 0 else {}
        end = -1 if request.length_tokens is None else request.length_tokens - begins
        if 0 <= end < model.canvas_tokens:
            pins[end] = model.end_id
        return CanvasConstraints(
            pins=pins,
            banned=model.end_ids,
            banned_before=min(max(0, request.min_tokens - begins), model.canvas_tokens),
            start=self._start if canvas == 0 else None,
            renoise_share=request.strength,
        )

    def _frame(
        self,
        canvas: int,
        draft: _Draft,
        step: DenoisingStep,
        elapsed_s: float,
        texts: list[str],
        given: CanvasConstraints,
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
            raise FaultError(
                "output", "The model gave nothing but padding.", "Try again; if it goes on, check the model."
            )
        if canvas == 0 and not text.strip():
            raise FaultError(
                "output",
                "The model found nothing to add here.",
                "Write a few more words first, or try again.",
            )


class _Draft:
    """One draft of a batch: what it was given, and what stands."""

    def __init__(
        self, number: int, seed: int, prefilled: DynamicCache, reader: StreamingDetokenizer, prefill_s: float
    ) -> None:
        self.number = number
        self.cache = fork_cache(prefilled)
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

    def read_committed(self, model: DiffusionGemma, check_cancelled: Callable[[], None]) -> None:
        """Prefill the canvas before the next one."""
        began = time.perf_counter()
        for start in range(0, len(self._committed), model.prefill_tokens):
            check_cancelled()
            model.prefill(self.cache, self._committed[start : start + model.prefill_tokens])
        self._prefill_s += time.perf_counter() - began

    def stats(self, device: Device, precision: str) -> Stats:
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
            peak_bytes=torch_devices.peak_bytes(device),
        )
