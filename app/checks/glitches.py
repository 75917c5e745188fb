"""Glitches of a draft: what is broken in it whatever it says. Pure text rules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from app.checks.languages import WORD, Language, language_of
from app.drafting.finding import Finding
from engine.protocol.requests import Span

NEAR_CHARACTERS = 2_000
"""Of the text on either side that a draft is compared with."""


def glitches(draft: str, before: str = "", after: str = "") -> tuple[Finding, ...]:
    """In their order. before, after: the text around."""
    before, after = before[-NEAR_CHARACTERS:], after[:NEAR_CHARACTERS]
    language = language_of(draft + "\n" + before)
    found = [
        Finding("glitch", span, "Said twice in a row") for span in _doubled(draft, before, after, language)
    ]
    return tuple(sorted(found, key=lambda finding: finding.span.start))


def _doubled(draft: str, before: str, after: str, language: Language | None) -> Iterator[Span]:
    """Words that stand twice in a row, the second one; the first one where only that is the draft's."""
    if language is None:
        return
    lead = before[-80:].rpartition("\n")[2]
    text = lead + draft + after[:80].partition("\n")[0]
    first, last = len(lead), len(lead) + len(draft)
    for one, other in pairwise(WORD.finditer(text)):
        word, between = other[0].casefold(), text[one.end() : other.start()]
        if one[0].casefold() != word or between.strip() or between.count("\n") > 1:
            continue
        if word in language.twice or (one[0][0].isupper() and other[0][0].isupper()):
            continue
        if language.doubles and word not in language.common:
            continue
        drafted = other if other.start() < last else one
        if drafted.end() > first and drafted.start() < last:
            yield Span(max(0, drafted.start() - first), min(len(draft), drafted.end() - first))
