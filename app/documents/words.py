"""The words of a text, by Unicode's word boundaries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex


def count_words(text: str) -> int:
    """What is written without spaces counts by the character, or, where words could only be told by a
    dictionary (Thai, Lao, Khmer, Burmese), by the phrase.
    """
    return len(word_beginnings().findall(text)) if text else 0


def word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where those words begin and end."""
    return (found.span() for found in _whole_words().finditer(text))


@lru_cache(maxsize=1)
def word_beginnings() -> regex.Pattern[str]:
    import regex  # the first paint does not need it

    return regex.compile(r"(?w)\p{Line_Break=SA}+|\b_*[^\W_]")


@lru_cache(maxsize=1)
def _whole_words() -> regex.Pattern[str]:
    import regex

    return regex.compile(r"(?ws)\p{Line_Break=SA}+|\b_*[^\W_].*?\b")
