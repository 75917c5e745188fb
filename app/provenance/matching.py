"""What a text that was changed still has of what was known of it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import accumulate

from app.documents.text import utf16_length
from app.provenance.paragraphs import PLAIN, Paragraph, Run, clipped, joined, paragraph, paragraphs

_TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
_MOST_PIECES = 10_000
"""More than these are not compared with each other: it would take too long."""
_NO_TEXT = "\uffff"
"""Of a paragraph that is not known; no text has it."""
Stretch = tuple[int, int, int, int]
"""old[i:j] and new[k:m]."""


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def starts(lengths: Sequence[int]) -> list[int]:
    """Where each piece begins, and where the last one ends."""
    return list(accumulate(lengths, initial=0))


def stretches(old: Sequence[Hashable], new: Sequence[Hashable]) -> Iterator[Stretch]:
    """What makes up both in turn; some of it is the same."""
    from difflib import SequenceMatcher  # the first paint does not need it

    old, new = list(old), list(new)
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    i, k = len(old) - tail, len(new) - tail
    yield 0, head, 0, head
    if i - head + k - head > _MOST_PIECES:
        yield head, i, head, k
    else:
        for _, a, b, c, d in SequenceMatcher(None, old[head:i], new[head:k]).get_opcodes():
            yield head + a, head + b, head + c, head + d
    yield i, len(old), k, len(new)


def _alike(old: Sequence[Hashable], new: Sequence[Hashable]) -> int:
    """How many are the same at the beginning."""
    return bisect_left(range(min(len(old), len(new))), True, key=lambda at: old[: at + 1] != new[: at + 1])


def put_between(old: Sequence[Paragraph], texts: Sequence[str], before: int, behind: int) -> list[Paragraph]:
    """Paragraphs after something was put in, or taken out. before, behind: so many units of the first and of
    the last paragraph stand outside of it.
    """
    runs: list[list[Run]] = [[] for _ in texts]
    last, now = old[-1].length, utf16_length(texts[-1])
    runs[0] += clipped(old[0].runs, 0, before)
    runs[-1] += clipped(old[-1].runs, last - behind, last, now - last)
    return [paragraph(text, each) for text, each in zip(texts, runs, strict=True)]


def followed(old: Sequence[Paragraph], texts: Sequence[str]) -> list[Paragraph]:
    """Paragraphs after edits in several places: what still stands in its place is whose it was."""
    if len(old) == len(texts):
        parts: Iterable[Stretch] = ((n, n + 1, n, n + 1) for n in range(len(old)))
    else:
        parts = stretches([each.text if each.runs else object() for each in old], texts)
    new = [PLAIN] * len(texts)
    for i, j, k, m in parts:
        if k < m and any(each.runs for each in old[i:j]):
            text, runs = joined((f"{each.text or _NO_TEXT}\n", each.runs) for each in old[i:j])
            now = "".join(f"{each}\n" for each in texts[k:m])
            kept = [run for a, b, c in _kept(text, now) for run in clipped(runs, a, b, c - a)]
            new[k:m] = paragraphs(now, kept)[:-1]
    return new


def _kept(old: str, new: str) -> Iterator[tuple[int, int, int]]:
    """Parts old[first:end] that the new text has from `to` on, in UTF-16 units."""
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    middles = (tokens(text[head : len(text) - tail]) for text in (old, new))
    ends = ((text[:head], text[len(text) - tail :]) for text in (old, new))
    pieces = [[first, *middle, last] for middle, (first, last) in zip(middles, ends, strict=True)]
    return _same(*pieces)


def _same(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Likewise, of the pieces of two texts."""
    old_at, new_at = (starts(list(map(utf16_length, pieces))) for pieces in (old, new))
    for i, j, k, m in stretches(old, new):
        if old[i:j] == new[k:m]:
            yield old_at[i], old_at[j], new_at[k]


def rewritten(old: str, runs: Sequence[Run], new: str, owner: str) -> list[Run]:
    """Of a passage that was drafted anew: its words that stayed are whose they were."""
    found, at = list[Run](), 0
    for first, end, to in _same(tokens(old), tokens(new)):
        found += [Run(at, to, owner)] if at < to else []
        found += clipped(runs, first, end, to - first)
        at = to + end - first
    return [*found, Run(at, utf16_length(new), owner)] if at < utf16_length(new) else found
