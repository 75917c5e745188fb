"""What is kept of a text's provenance: checksums and places, and none of its words."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import msgspec

from app.documents.text import utf16_length
from app.provenance.matching import starts, stretches
from app.provenance.paragraphs import (
    PIECE,
    PLAIN,
    UNKNOWN,
    Paragraph,
    Run,
    checksum,
    clipped,
    paragraph,
    pieces_of,
)

FORMAT = 1
"""Raise it whenever a field's name or meaning changes."""
SURE_WORDS = 3
"""So many words in a row tell that a changed paragraph still has them; fewer may be there by chance."""


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """A paragraph that is not all the writer's."""

    number: int
    runs: tuple[Run, ...]
    pieces: bytes = b""
    """See pieces_of()."""

    def __post_init__(self) -> None:
        if self.number < 0 or len(self.pieces) % 4:
            raise ValueError("a damaged record")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Of a text as it was saved."""

    digest: str
    """Of the file's bytes."""
    paragraphs: tuple[int, ...]
    """A checksum each."""
    marked: tuple[Marked, ...]
    format: int = FORMAT


class Places(msgspec.Struct, frozen=True):
    """Of a text that is kept as a whole."""

    marked: tuple[Marked, ...]


def record_of(digest: str, texts: Iterable[str], paragraphs: Sequence[Paragraph]) -> Record:
    marked = (
        Marked(number=number, runs=each.runs, pieces=each.pieces)
        for number, each in enumerate(paragraphs)
        if each.runs
    )
    return Record(digest=digest, paragraphs=tuple(map(checksum, texts)), marked=tuple(marked))


def places_of(paragraphs: Sequence[Paragraph]) -> Places:
    found = (Marked(number=n, runs=each.runs) for n, each in enumerate(paragraphs) if each.runs)
    return Places(tuple(found))


def placed(marked: Iterable[Marked], texts: Sequence[str]) -> list[Paragraph]:
    """In the text that it was kept of."""
    found = [PLAIN] * len(texts)
    for each in marked:
        if each.number < len(texts):
            text = texts[each.number]
            found[each.number] = paragraph(text, clipped(each.runs, 0, utf16_length(text)))
    return found


def found_again(record: Record, texts: Sequence[str]) -> list[Paragraph]:
    """In a text that was changed elsewhere. What came there is unknown."""
    found = [_unknown(text) for text in texts]
    marked = {each.number: each for each in record.marked}
    for i, j, k, m in stretches(record.paragraphs, list(map(checksum, texts))):
        same = record.paragraphs[i:j] == tuple(map(checksum, texts[k:m]))
        for number, to in zip(range(i, j), range(k, m), strict=True) if j - i == m - k else ():
            former, text = marked.get(number), texts[to]
            if same:
                found[to] = paragraph(text, former.runs) if former else PLAIN
            elif former:
                found[to] = paragraph(text, _carried(former, text))
    return found


def _unknown(text: str) -> Paragraph:
    return paragraph(text, [Run(0, utf16_length(text), UNKNOWN)] if text else [])


def _carried(former: Marked, text: str) -> list[Run]:
    """Of a paragraph that was changed: what has words enough in a row is whose it was."""
    old, new = array("H", former.pieces), array("H", pieces_of(text))
    old_at, new_at = starts(old[1::2]), starts(new[1::2])
    old_sums, new_sums = list(old[::2]), list(new[::2])
    are_words = [bool(found[1]) for found in PIECE.finditer(text)]
    runs, at = list[Run](), 0
    for i, j, k, m in stretches(old_sums, new_sums):
        if old_sums[i:j] == new_sums[k:m] and sum(are_words[k:m]) >= SURE_WORDS:
            if at < new_at[k]:
                runs.append(Run(at, new_at[k], UNKNOWN))
            runs += clipped(former.runs, old_at[i], old_at[j], new_at[k] - old_at[i])
            at = new_at[m]
    return [*runs, Run(at, new_at[-1], UNKNOWN)] if at < new_at[-1] else runs
