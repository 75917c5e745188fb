"""What the writer has picked in a settled draft, and what was found in it: pure text rules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, groupby, pairwise

from PySide6.QtCore import QTextBoundaryFinder

from app.drafting.finding import Finding
from app.editor.passages import segments
from engine.protocol.requests import Span

_KINDS = QTextBoundaryFinder.BoundaryType


@dataclass
class DraftWords:
    """Whole words are picked. Positions are characters of the text."""

    text: str
    pinned: set[Span] = field(default_factory=set)
    """Words that stay in the next draft."""
    anchor: int = 0
    """Where the selection was begun."""
    head: int | None = None
    """Where it has got to; None without one."""
    findings: tuple[Finding, ...] = ()
    """What the writer should look at."""
    looked_for: tuple[bool, ...] = ()
    """Which kinds of them; empty while nothing was."""

    @cached_property
    def _segments(self) -> list[Span]:
        ends = accumulate(map(len, segments(self.text, _KINDS.Word)), initial=0)
        return [Span(start, end) for start, end in pairwise(ends)]

    @cached_property
    def _words(self) -> list[Span]:
        return [part for part in self._segments if any(map(str.isalnum, self.text[part.start : part.end]))]

    @property
    def selected(self) -> Span | None:
        if self.head is None:
            return None
        first, last = sorted((self.anchor, self.head))
        return Span(self._segment(first).start, self._segment(last).end)

    @property
    def selected_text(self) -> str:
        return self.text[self.selected.start : self.selected.end].strip() if self.selected else ""

    @property
    def held(self) -> tuple[Span, ...]:
        """The pinned words; those that stand next to each other with what is between them."""
        runs = groupby(self._words, key=self.pinned.__contains__)
        pinned = [list(run) for is_pinned, run in runs if is_pinned]
        return tuple(Span(run[0].start, run[-1].end) for run in pinned)

    @property
    def glitches(self) -> list[Span]:
        return [finding.span for finding in self.findings if finding.kind == "glitch"]

    @property
    def facts(self) -> list[Span]:
        return [finding.span for finding in self.findings if finding.kind == "fact"]

    @property
    def around_glitches(self) -> tuple[Span, ...]:
        """All of the text but these."""
        ends = accumulate((glitch.end for glitch in self.glitches), max, initial=0)
        starts = [*(glitch.start for glitch in self.glitches), len(self.text)]
        return tuple(Span(end, start) for end, start in zip(ends, starts, strict=True) if end < start)

    @property
    def first_sentence(self) -> Span:
        ends = accumulate(map(len, segments(self.text, _KINDS.Sentence)))
        return Span(0, next((end for end in ends if self.text[:end].strip()), len(self.text)))

    def _segment(self, at: int) -> Span:
        index = bisect_right(self._segments, at, key=lambda part: part.start)
        return self._segments[max(0, index - 1)]

    def of(self, spans: Iterable[Span]) -> list[Span]:
        """The words that they touch."""
        spans = list(spans)
        return [w for w in self._words if any(w.start < span.end and span.start < w.end for span in spans)]

    def are_pinned(self, span: Span) -> bool:
        return self.pinned.issuperset(self.of([span]))

    def toggle(self, span: Span) -> None:
        """Pin its words; free them if all of them are pinned."""
        words = set(self.of([span]))
        self.pinned = self.pinned - words if self.are_pinned(span) else self.pinned | words

    def step(self, by: int, *, extends: bool = False) -> None:
        """Select the next word, -1 the one before; from nothing, the first one. extends: besides what is."""
        if not self._words:
            return
        here = bisect_right(self._words, self.head or 0, key=lambda word: word.start) - 1
        there = 0 if self.head is None else min(max(0, here + by), len(self._words) - 1)
        self.head = self._words[there].start
        if not extends:
            self.anchor = self.head

    def without(self, span: Span) -> tuple[str, str]:
        """What is left without that part → and the white space that was beside it."""
        before, after = self.text[: span.start], self.text[span.end :]
        part = self.text[span.start : span.end]
        blanks = (
            before[len(before.rstrip()) :],
            part[len(part.rstrip()) :] + after[: len(after) - len(after.lstrip())],
        )
        between = max(blanks, key=lambda blank: (blank.count("\n"), len(blank)))
        return before.rstrip() + between + after.lstrip(), between
