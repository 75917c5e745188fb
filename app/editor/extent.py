"""Where a draft that is to be a sentence or a paragraph ends: pure text rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from PySide6.QtCore import QTextBoundaryFinder

from app.editor.join import FENCE, ROW, SENTENCE, ends_sentence
from engine.protocol.requests import Extent

_LINE_BREAKS = re.compile(r"\s*\n\s*")


def within(extent: Extent, pieces: Sequence[str], sure: int) -> list[str]:
    """The model's text up to the end of its first sentence or paragraph, piece by piece.

    sure: so many pieces at the beginning hardly change any more. An end among the others is none yet.
    """
    if extent == "paragraphs":
        return list(pieces)
    text = "".join(pieces[:sure])
    ends = _sentence_ends(text) if extent == "sentence" else _paragraph_ends(text)
    end = next(ends, len(text))
    if not text[end:].strip():
        return list(pieces)
    starts = accumulate(map(len, pieces), initial=0)
    return [piece[: max(0, end - start)] for piece, start in zip(pieces, starts, strict=False)]


def _sentence_ends(text: str) -> Iterator[int]:
    finder = QTextBoundaryFinder(SENTENCE, text)
    units = text.encode("utf-16-le", "surrogatepass")
    while (at := finder.toNextBoundary()) >= 0:
        sentence = units[: 2 * at].decode("utf-16-le", "surrogatepass")
        goes_on = text[len(sentence) :][:1].islower()
        if _is_whole(sentence) and any(map(str.isalnum, sentence)) and not goes_on:
            yield len(sentence)


def _paragraph_ends(text: str) -> Iterator[int]:
    """A salutation, a heading and a list's lines are part of the paragraph."""
    for found in _LINE_BREAKS.finditer(text):
        above, below = text[: found.start()], text[found.end() :]
        of_one_block = bool(ROW.match(above.rpartition("\n")[2]) and ROW.match(below))
        in_code = len(FENCE.findall(above)) % 2 == 1
        if _is_whole(above) and not (of_one_block or in_code):
            yield found.start()


def _is_whole(text: str) -> bool:
    text = text.rstrip()
    return ends_sentence(text) and not text.endswith((":", ";"))
