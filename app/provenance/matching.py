"""What a text that was changed still has of what was known of it."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate

from app.documents.text import utf16_length
from app.provenance.paragraphs import Paragraph, Run, clipped, paragraph, split

_TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
_MOST_PIECES = 10_000
"""More than these are not compared with each other: it would take too long."""
Stretch = tuple[int, int, int, int]
"""old[i:j] and new[k:m]."""


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def starts(lengths: Sequence[int]) -> list[int]:
    """Where each piece begins, and where the last one ends."""
    return list(accumulate(lengths, initial=0))


def stretches(old: Sequence[Hashable], new: Sequence[Hashable]) -> Iterator[Stretch]:
    """What makes up both in turn; some of it is the same."""
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
    return next(
        (at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )


def followed(
    old: Sequence[Paragraph], texts: Sequence[str], before: int, behind: int, *, exact: bool
) -> list[Paragraph]:
    """Paragraphs after an edit of the app's own. before, behind: so many units of the first and of the last
    paragraph stand outside of it; exact: it has put in, or taken out, all that is between.
    """
    lengths = list(map(utf16_length, texts))
    last = old[-1].length
    runs: list[list[Run]] = [[] for _ in texts]
    runs[0] += clipped(old[0].runs, 0, before)
    runs[-1] += clipped(old[-1].runs, last - behind, last, lengths[-1] - last)
    if not exact:
        middles = list(_middles([each.text for each in old], before, behind))
        news = list(_middles(texts, before, behind))
        keys = [middle[0] if each.runs else object() for each, middle in zip(old, middles, strict=True)]
        for one, other in _pairs(keys, [text for text, _ in news]):
            (text, start), (new, new_start) = middles[one], news[other]
            for first, end, to in _kept(text, new):
                begin = start + first
                runs[other] += clipped(old[one].runs, begin, start + end, new_start + to - begin)
    return [paragraph(text, each) for text, each in zip(texts, runs, strict=True)]


def _middles(texts: Sequence[str], before: int, behind: int) -> Iterator[tuple[str, int]]:
    """What of each is between, and where it begins."""
    for number, text in enumerate(texts):
        start = before if number == 0 else 0
        if number == len(texts) - 1:
            text = split(text, max(start, utf16_length(text) - behind))[0]
        yield split(text, start)[1], start


def _pairs(old: Sequence[Hashable], new: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """Paragraphs that stand for each other."""
    if len(old) == len(new):
        yield from ((number, number) for number in range(len(old)))
        return
    for i, j, k, m in stretches(old, new):
        if j - i == m - k:
            yield from zip(range(i, j), range(k, m), strict=True)


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
