"""The words in which two texts differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def word_difference(old: str, new: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Both texts in pieces, each with whether the other text lacks it."""
    words = _WORDS.findall(old), _WORDS.findall(new)
    pieces: tuple[list[tuple[str, bool]], list[tuple[str, bool]]] = ([], [])
    for kind, *bounds in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        for side, (first, end) in enumerate((bounds[:2], bounds[2:])):
            if text := "".join(words[side][first:end]):
                pieces[side].append((text, kind != "equal"))
    return pieces
