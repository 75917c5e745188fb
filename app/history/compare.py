"""What of a text stands for a draft now: the passage that is most like it."""

from __future__ import annotations

import re
from itertools import accumulate

from app.history.search_words import indexed

_WORD = re.compile(r"\w+")
_LEAST_SHARE = 0.3
"""Of the words, that a passage has in common with a draft to be like it."""


def passage_like(text: str, draft: str) -> str:
    """As many paragraphs as the draft has; empty where none is like it. text: with \\n as ends of lines."""
    lines = [line for line in text.split("\n") if line.strip()]
    wanted, size = set(_words(draft)), sum(bool(line.strip()) for line in draft.split("\n"))
    found = [set(_words(line)) for line in lines]
    common = list(accumulate((len(words & wanted) for words in found), initial=0))
    count = list(accumulate(map(len, found), initial=0))
    best, most = 0, 0.0
    for start in range(max(1, len(lines) - size + 1)):
        end = min(start + size, len(lines))
        share = 2 * (common[end] - common[start]) / max(1, count[end] - count[start] + len(wanted))
        if share > most:
            best, most = start, share
    return "\n".join(lines[best : best + size]) if most >= _LEAST_SHARE else ""


def _words(text: str) -> list[str]:
    return _WORD.findall((text if text.isascii() else indexed(text)).casefold())
