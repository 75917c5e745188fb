"""What differs between two texts: by lines, and by words within lines that differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import groupby

_WORD = re.compile(r"\w+|\s+|.", re.DOTALL)
_MOST_PIECES = 10_000
"""More than these are not compared with each other: it would take too long."""

Pair = tuple[str, str]
"""A piece of the one text, and what the other has in its place."""


def differences(old: str, new: str) -> list[Pair]:
    """Pairs that make up both texts, those that are alike and those that differ in turn."""
    pairs: list[Pair] = []
    for a, b in _pairs(old.splitlines(keepends=True), new.splitlines(keepends=True)):
        pairs += [(a, b)] if a == b else _pairs(_WORD.findall(a), _WORD.findall(b))
    return [_joined(run) for _, run in groupby(pairs, key=lambda pair: pair[0] == pair[1])]


def by_phrases(pairs: list[Pair]) -> list[Pair]:
    """Words that differ next to each other are one difference."""
    phrases: list[Pair] = []
    for number, (old, new) in enumerate(pairs):
        is_between = old == new and not old.strip() and 0 < number < len(pairs) - 1
        if phrases and (is_between or (old != new and phrases[-1][0] != phrases[-1][1])):
            phrases[-1] = (phrases[-1][0] + old, phrases[-1][1] + new)
        else:
            phrases.append((old, new))
    return phrases


def _joined(run: Iterator[Pair]) -> Pair:
    olds, news = zip(*run, strict=True)
    return "".join(olds), "".join(news)


def _pairs(old: list[str], new: list[str]) -> Iterator[Pair]:
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    yield "".join(old[:head]), "".join(old[:head])
    middle = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(middle[0]) + len(middle[1]) > _MOST_PIECES:
        yield "".join(middle[0]), "".join(middle[1])
    else:
        for _, i, j, k, m in SequenceMatcher(None, *middle).get_opcodes():
            yield "".join(middle[0][i:j]), "".join(middle[1][k:m])
    yield "".join(old[len(old) - tail :]), "".join(old[len(old) - tail :])


def _alike(old: list[str], new: list[str]) -> int:
    """How many pieces are the same at the beginning."""
    return next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
