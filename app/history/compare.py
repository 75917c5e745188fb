"""What of a text stands for a draft now: the passage that is most like it."""

from __future__ import annotations

import re
from collections import Counter

from app.history.search_words import indexed

_WORD = re.compile(r"\w+")
_LEAST_SHARE = 0.3
"""Of the words, that a passage has in common with a draft to be like it."""


def passage_like(text: str, draft: str) -> str:
    """As many paragraphs as the draft has; empty where none is like it. text: with \\n as ends of lines."""
    lines = [line for line in text.split("\n") if line.strip()]
    wanted = _words(draft)
    count = sum(bool(line.strip()) for line in draft.split("\n"))
    found = [_words(line) for line in lines]
    best, most = 0, 0.0
    for start in range(len(lines)):
        share = _likeness(sum(found[start : start + count], Counter()), wanted)
        if share > most:
            best, most = start, share
    return "\n".join(lines[best : best + count]) if most >= _LEAST_SHARE else ""


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(indexed(text).casefold()))


def _likeness(a: Counter[str], b: Counter[str]) -> float:
    """The share of words that they have in common."""
    return 2 * (a & b).total() / max(1, a.total() + b.total())
