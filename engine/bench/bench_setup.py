"""BenchSetup: a loaded engine, driven as the app drives it, and the sizes to measure."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.model.diffusion_gemma import DiffusionGemma
from engine.protocol.errors import FaultError
from engine.protocol.events import DraftEvent, Failed, Ready
from engine.protocol.requests import DraftPlace, DraftRequest, LoadRequest, PrepareRequest, SamplingOverrides
from engine.runtime.local_engine import LocalEngine
from engine.text import prompt

OPENINGS = (
    "Dear Anna,\n\nThank you for your letter. We were glad to hear from you.",
    "Quarterly report\n\nThe workshop was closed for two weeks in March while the roof was being repaired.",
    "Lemon soup\n\nThis soup is light and takes half an hour. Peel two potatoes and one onion.",
    "The old ferry had not moved for years. On the first morning of spring, Nora climbed aboard.",
    "Hello Martin,\n\nI am writing about the meeting on Thursday. There is one point to discuss first.",
)
PASSAGE = (
    "In the morning we walked along the river to the market. It was cold, but the sun came out at noon. "
    "My brother bought bread and a small cheese, and we sat down near the bridge to eat. An old man told us "
    "about the flood, when the water had reached the windows of the school. Later the rain began again, so "
    "we took the bus home and lit the stove.\n\n"
)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int = 5
    """Whose median counts, after one that warms up."""
    steps: int = 12
    """Of a canvas whose steps are timed."""
    slow_rounds: int = 3
    """Where a step takes seconds, as slow_steps."""
    slow_steps: int = 3
    sampler_rows: int = 256
    """Of the logits of the sampler alone."""
    sampler_vocab: int = 262_144
    experts: int = 128
    """Of a layer at the 26B model's widths."""
    layers: int = 30
    """Of the whole model at these."""
    text_tokens: int = 2_000
    """Of a long text."""
    added_tokens: int = 20
    max_steps: tuple[int, ...] = (4, 8, 16, 32, 48, 64, 96)
    """Of the curve."""
    openings: tuple[str, ...] = OPENINGS
    sentence_rounds: int = 8
    """Of each opening, to compare sentences."""
    document_tokens: int = 160
    """Of a text that the model writes after an opening, token by token, and whose sentences are rewritten."""
    sentences: int = 60


class BenchSetup:
    """A loaded engine."""

    def __init__(self, model: str, device: str, precision: str = "auto", sizes: Sizes = Sizes()) -> None:
        """Raises FaultError where the model cannot be loaded."""
        self.sizes = sizes
        self._wanted = (model, device)
        self._engine = LocalEngine()
        request = LoadRequest(request_id="bench", model=model, device=device, precision=precision)
        for event in _unbroken(self._engine.load(request, threading.Event())):
            if isinstance(event, Ready):
                self.ready = event

    @property
    def model(self) -> DiffusionGemma:
        return self._engine.model

    def at(self, precision: str) -> BenchSetup:
        """The same model at another precision."""
        return BenchSetup(*self._wanted, precision, self.sizes)

    def prepare(self, before: str) -> None:
        request = PrepareRequest(request_id="bench", place=DraftPlace(before=before))
        self._engine.prepare(request, threading.Event())

    def draft(self, before: str, *, variants: int = 1, **sampling: Any) -> Generator[DraftEvent, None, None]:
        return self.draft_places((DraftPlace(before=before),), variants, **sampling)

    def draft_places(
        self, places: tuple[DraftPlace, ...], variants: int = 1, seed: int = 0, **sampling: Any
    ) -> Generator[DraftEvent, None, None]:
        request = DraftRequest(
            request_id="bench",
            places=places,
            variants=variants,
            seed=seed,
            sampling=SamplingOverrides(**sampling),
        )
        return _unbroken(self._engine.draft(request, threading.Event()))

    def prompt_ids(self, before: str) -> list[int]:
        place = DraftPlace(before=before)
        return prompt.build_prompt(self.model.tokenizer, place, self.model.default_context_tokens).ids

    def text(self, beginning: str) -> str:
        """At least text_tokens tokens; texts with different beginnings have no prefix in common."""
        return self._grown(beginning + " ", self.sizes.text_tokens)

    def longer(self, text: str) -> str:
        """With about added_tokens more."""
        return f"{text} {self._grown('', self.sizes.added_tokens)}"

    def _grown(self, text: str, tokens: int) -> str:
        words = itertools.cycle(PASSAGE.split(" "))
        while (short := tokens - len(self.model.tokenizer.encode(text))) > 0:
            text += " ".join(itertools.islice(words, 1 + short // 8)) + " "
        return text.rstrip()


EventT = TypeVar("EventT")


def _unbroken(events: Iterable[EventT]) -> Generator[EventT, None, None]:
    for event in events:
        if isinstance(event, Failed):
            raise FaultError(event.kind, event.message, event.remedy, event.details)
        yield event
