"""The variants of a draft: settled, or still developing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from app.editor.placement import Placement
from engine.protocol.events import Committed, Finished, Frame, Stats, Token
from engine.protocol.requests import Extent, Span


@dataclass(frozen=True)
class DraftId:
    """Which of the engine's drafts one is."""

    request_id: str
    place: int
    variant: int


@dataclass(frozen=True)
class Variant:
    """A settled draft of a place."""

    text: str
    seed: int
    stats: Stats | None
    """None where the writer stopped it: it is unfinished."""
    tokens: tuple[Token, ...] = ()
    """Of an unfinished one: what stood when it was stopped."""
    corrected: tuple[Span, ...] = ()
    """Parts of the text that had been accepted as something else while it developed."""
    made_as: DraftId = DraftId("", 0, 0)
    is_rest: bool = False
    """What is left of it after a part was kept."""
    stopped_at: tuple[int, int] | None = None
    """Of an unfinished one: the canvas and the step that it shows."""
    extent: Extent = "paragraphs"
    """The most that is shown of the model's text."""


@dataclass
class DevelopingVariant:
    """A variant that the engine works at."""

    seed: int
    committed: str = ""
    tokens: tuple[Token, ...] = ()
    """Of the newest frame, with what is committed before them as the first one."""
    shown: bool = False
    """Past its noise."""
    step: int = 0
    canvas: int = 0
    finished: Finished | None = None
    made_as: DraftId = DraftId("", 0, 0)

    def take(self, event: Frame | Committed) -> None:
        self.made_as = DraftId(event.request_id, event.place, event.variant)
        if isinstance(event, Frame):
            self.step, self.canvas = event.step, event.canvas
            self.shown = bool(event.step or event.canvas)
            tokens = event.tokens
        else:
            self.committed += event.text
            tokens = ()
        self.tokens = (Token(self.committed, 0.0, True, False), *tokens)

    @property
    def text(self) -> str:
        """In the model's own characters."""
        return "".join(token.text for token in self.tokens) if self.shown else ""


def stopped_variants(developing: Iterable[DevelopingVariant], placement: Placement) -> list[Variant]:
    """What can be read of those that develop."""
    texts = ((each, placement.shown(each.text)) for each in developing)
    return [
        Variant(
            text,
            each.seed,
            None,
            each.tokens,
            made_as=each.made_as,
            stopped_at=(each.canvas, each.step),
            extent=placement.extent,
        )
        for each, text in texts
        if text.strip()
    ]


def finished_variants(developing: Iterable[DevelopingVariant], placement: Placement) -> list[Variant]:
    """Those that say something, the best first."""
    ends = ((each.finished, each) for each in developing if each.finished)
    found = []
    for event, each in sorted(ends, key=lambda end: end[0].rank):
        text, corrected = _shown(placement, event)
        if text:
            found.append(
                Variant(
                    text,
                    each.seed,
                    event.stats,
                    corrected=corrected,
                    made_as=DraftId(event.request_id, event.place, event.variant),
                    extent=placement.extent,
                )
            )
    return found


def _shown(placement: Placement, event: Finished) -> tuple[str, tuple[Span, ...]]:
    """The text as it is shown, and what of it was corrected."""
    cuts = [0, *(at for span in event.corrected for at in (span.start, span.end)), len(event.text)]
    pieces = placement.shown_pieces([event.text[start:end] for start, end in pairwise(cuts)])
    spans = [Span(start, end) for start, end in pairwise(accumulate(map(len, pieces), initial=0))]
    return "".join(pieces), tuple(span for span in spans[1::2] if span.start < span.end)
