"""What the canvases of a draft hold: the draft's own positions, and pins around and among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers.cache_utils import DynamicCache

from engine.checkpoints.model_shape import MAX_CANVASES
from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.passage import (
    REPHRASED_SHARE,
    Passage,
    begins_sentence,
    follows_sentence,
    full_stop,
    has_sentence,
    is_in_fence,
)
from engine.model import likelihood
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.kv_cache import fork_cache
from engine.protocol.errors import FaultError
from engine.protocol.requests import DraftPlace
from engine.text.prompt import Prompt

AFTER_TOKENS = 32
"""Of the text behind a draft: so many are seen from the canvas, and their likelihood ranks the draft."""
SENTENCE_TOKENS = 128
"""The canvas of a sentence: a step costs what its positions do. With 64 of them the bundled model's sentences
are less likely (by 0.2 nats a token), with 128 they are not.
"""
_BLOCK = 16
_CHARACTERS_PER_TOKEN = 10


@dataclass(frozen=True)
class CanvasPlan:
    """One canvas of a draft."""

    constraints: CanvasConstraints
    own: slice
    """The draft's own positions."""


class OpenPlan:
    """A draft that ends where the model ends it, or at a length: as many canvases as are asked for."""

    ranks = False

    def __init__(
        self,
        model: DiffusionGemma,
        place: DraftPlace,
        canvases: int,
        prompt: Prompt,
        cache: DynamicCache,
        seed: int,
    ) -> None:
        """cache: of the prompt. Raises input."""
        self._model, self._place = model, place
        self.canvases, self.tokens = canvases, model.canvas_tokens
        self._held: dict[int, int] = {}
        if place.start_text:
            ids = model.tokenizer.encode(prompt.blanks + place.start_text)
            passage = Passage.of(ids, place.held, len(prompt.blanks), model.detokenizer)
            passage = _with_likely_words(model, cache, passage, [], place.renoise_share, seed)
            self._held = {position: ids[position] for position in passage.held}
        if place.length_tokens is not None and place.length_tokens <= max(self._held, default=-1):
            message = f"The length is {place.length_tokens} tokens, and what is to be held goes on behind it."
            raise FaultError("input", message, "Choose a greater length, or hold less.")
        ends = [*self._held, *(pin.position for pin in place.pins), place.length_tokens or 0]
        self._needed = max(place.min_tokens, *ends) + 1
        if place.extent == "sentence" and canvases == 1:
            self.tokens = min(model.canvas_tokens, _blocks(max(SENTENCE_TOKENS, self._needed)))
            self.canvases = -(-model.canvas_tokens // self.tokens)

    def suffices(self, number: int, text: str) -> bool:
        """Nothing that is asked for would come behind the text, which canvas `number` ends."""
        needs_more = self._needed > (number + 1) * self.tokens
        return self._place.extent == "sentence" and not needs_more and has_sentence(text)

    def canvas(self, number: int, _variant: int, tokens: int) -> CanvasPlan:
        """tokens: of the canvas; more than self.tokens where others of its batch need them."""
        place, model = self._place, self._model
        begins = number * self.tokens
        pins = {} if number else self._held | {pin.position: pin.token_id for pin in place.pins}
        end = -1 if place.length_tokens is None else place.length_tokens - begins
        if 0 <= end < tokens:
            pins[end] = model.end_id
        least = max(place.min_tokens - begins, 0 if number else max(self._held, default=-1) + 1)
        given = CanvasConstraints(pins, model.end_ids, min(least, tokens))
        return CanvasPlan(given, slice(0, tokens))


class JoiningPlan:
    """A draft between two texts, in place of a passage or of nothing. Windows of a long passage have a canvas
    each, which what comes behind the window follows.
    """

    ranks = True

    def __init__(
        self,
        model: DiffusionGemma,
        place: DraftPlace,
        prompt: Prompt,
        cache: DynamicCache,
        seed: int,
        check_cancelled: Callable[[], None],
    ) -> None:
        """cache: of the prompt. Raises input."""
        self._model = model
        self._shares = place.length_shares or (1.0,)
        self._length, self._changes = place.length_tokens, place.changes
        self.lead_ids = model.tokenizer.encode(prompt.answer_lead)[-(model.canvas_tokens // 4) :]
        reach = _CHARACTERS_PER_TOKEN * model.canvas_tokens
        self.after_ids = model.tokenizer.encode(place.after[:reach])
        if len(place.after) <= reach:
            self.after_ids.append(model.end_id)
        least_after = min(AFTER_TOKENS, model.canvas_tokens // 4)
        self._room = model.canvas_tokens - len(self.lead_ids) - least_after
        ids = model.tokenizer.encode(prompt.blanks + place.start_text) if place.start_text else []
        self.passage = Passage.of(ids, place.held, len(prompt.blanks), model.detokenizer)
        capacity = max(1, int(self._room / max(1.0, *self._shares)))
        windows = self.passage.windows(capacity, model.detokenizer)
        self.canvases = len(windows)
        self._windows = [window.changing() for window in windows] if place.changes else windows
        self._closing = [] if ids else _closing_ids(model, place)
        least = [self._own(window, share)[0] for window in windows for share in self._shares]
        self._refuse_beyond_context(len(prompt.ids) + len(windows) * max(least))
        needed = len(self.lead_ids) + max(least) + AFTER_TOKENS
        self.tokens = min(model.canvas_tokens, _blocks(needed))
        self._one_line = "\n" not in place.start_text
        if place.renoise_share < 1:
            self._windows = self._with_likely_words(cache, place.renoise_share, seed, check_cancelled)

    def _refuse_beyond_context(self, tokens: int) -> None:
        most = self._model.max_context_tokens + (MAX_CANVASES - 1) * self._model.canvas_tokens
        if tokens > most:
            message = f"The passage has {len(self.passage.ids)} tokens, which is too long for this model."
            raise FaultError("input", message, "Choose a part of it, or a smaller context size.")

    def _with_likely_words(
        self, cache: DynamicCache, share: float, seed: int, check_cancelled: Callable[[], None]
    ) -> list[Passage]:
        model, read = self._model, fork_cache(cache)
        if self.lead_ids:
            model.prefill(read, self.lead_ids)
        windows = []
        for number, window in enumerate(self._windows):
            check_cancelled()
            windows.append(
                _with_likely_words(model, read, window, self._behind(number), share, seed + number)
            )
            if number + 1 < len(self._windows):
                model.prefill(read, window.ids)
        return windows

    def suffices(self, _number: int, _text: str) -> bool:
        """The passage is drafted to its end."""
        return False

    def _behind(self, number: int) -> list[int]:
        """What follows a window."""
        later = [index for window in self._windows[number + 1 :] for index in window.ids]
        return later + self.after_ids

    def _own(self, window: Passage, share: float) -> tuple[int, dict[int, int]]:
        """The length of a draft of the window, and what is pinned in it."""
        base = len(window.ids) if self.passage.ids else self._length or AFTER_TOKENS
        wanted = min(max(1, round(share * base)), self._room)
        length, held = window.placed(wanted, least_room=0 if self._changes else 1)
        if length > len(self._closing):
            held.update(enumerate(self._closing, length - len(self._closing)))
        return length, held

    def canvas(self, number: int, variant: int, tokens: int) -> CanvasPlan:
        """tokens: of the canvas, at least self.tokens."""
        model, lead = self._model, [] if number else self.lead_ids
        length, held = self._own(self._windows[number], self._shares[variant % len(self._shares)])
        own = slice(len(lead), len(lead) + length)
        behind = self._behind(number) + [model.fill_id] * tokens
        pins = dict(enumerate(lead))
        pins.update((own.start + position, token) for position, token in held.items())
        same = self._windows[number] if length == len(self._windows[number].ids) else Passage()
        refused = {own.start + position: same.ids[position] for position in same.unlikely}
        pins.update(zip(range(own.stop, tokens), behind, strict=False))
        banned = {*model.end_ids, model.pad_id} | (model.newline_ids if self._one_line else frozenset())
        return CanvasPlan(CanvasConstraints(pins, banned, own.stop, refused), own)


def _blocks(tokens: int) -> int:
    return -(-tokens // _BLOCK) * _BLOCK


def _closing_ids(model: DiffusionGemma, place: DraftPlace) -> list[int]:
    """The full stop of a draft between whole sentences, as it stands before. Empty where what stands before
    or after the place is a part of its sentence, or code.
    """
    between = begins_sentence(place.before) and follows_sentence(place.after)
    if not between or is_in_fence(place.before):
        return []
    return model.tokenizer.encode(full_stop(place.before))


def _with_likely_words(
    model: DiffusionGemma, cache: DynamicCache, passage: Passage, behind: list[int], share: float, seed: int
) -> Passage:
    """The passage with its words held, save for the share of them that are the least likely here.

    A passage that is fluent as it is would come back as it was: of many words, some have to change.
    """
    free = [word for word in passage.words if not passage.held.issuperset(word)]
    if share >= 1 or not free:
        return passage
    tokens = min(model.canvas_tokens, _blocks(len(passage.ids) + AFTER_TOKENS))
    canvas = ([*passage.ids, *behind, model.end_id] + [model.fill_id] * tokens)[:tokens]
    generator = torch.Generator().manual_seed(seed % 2**63)
    told = likelihood.of_words(model, cache, canvas, free, generator)
    ascending = [word for _, word in sorted(zip(told, free, strict=True), key=lambda each: each[0])]
    count = max(1, round(share * len(free))) if share else 0
    return passage.redrafting(
        ascending[:count], changed=max(1, count // 6) if share >= REPHRASED_SHARE else 0
    )
