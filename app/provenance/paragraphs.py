"""Paragraphs of a document, with who wrote which part of them."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple
from zlib import crc32

from app.documents.text import characters, utf16_length
from app.documents.words import count_words, word_spans

PIECE = re.compile(r"(\w+)|\W+")
_LONGEST = 2**16 - 1
UNKNOWN = ""
"""The owner of what came from another program."""


class Run(NamedTuple):
    """Part of a paragraph, in UTF-16 units. What is in none is the writer's."""

    start: int
    end: int
    owner: str
    """The model that drafted it, by its label, or UNKNOWN."""


@dataclass(frozen=True)
class Paragraph:
    text: str = ""
    """Of one that has runs."""
    runs: tuple[Run, ...] = ()
    """In their order; those that touch have other owners."""

    @cached_property
    def length(self) -> int:
        """UTF-16 units."""
        return utf16_length(self.text)

    @cached_property
    def pieces(self) -> bytes:
        return pieces_of(self.text)

    @cached_property
    def words(self) -> Counter[str]:
        """How many have which owner. A word is drafted while all its letters are, by whichever model."""
        if len(self.runs) == 1 and (self.runs[0].start, self.runs[0].end) == (0, self.length):
            return Counter({self.runs[0].owner: count_words(self.text)})
        found = Counter[str]()
        at = units = 0
        for first, last in word_spans(self.text) if self.runs else ():
            start = units + utf16_length(self.text[at:first])
            units = start + utf16_length(self.text[first:last])
            at = last
            if owners := owners_of(self.runs, start, units):
                found[UNKNOWN if UNKNOWN in owners else owners[0]] += 1
        return found


PLAIN = Paragraph()
"""All of it is the writer's; its text is not kept."""


def pieces_of(text: str) -> bytes:
    """Its words and what is between them, in turn: of each a checksum and its UTF-16 units, in two bytes."""
    found = array("H")
    for piece in map(itemgetter(0), PIECE.finditer(text)):
        found.extend((checksum(piece) & 0xFFFF, min(utf16_length(piece), _LONGEST)))
    return found.tobytes()


def checksum(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"))


def owners_of(runs: Sequence[Run], start: int, end: int) -> list[str]:
    """Whose the text between is, if none of it is the writer's."""
    parts = [run for run in runs if run.start < end and start < run.end]
    covered = sum(min(run.end, end) - max(run.start, start) for run in parts)
    return [run.owner for run in parts] if covered == end - start else []


def clipped(runs: Iterable[Run], start: int, end: int, shift: int = 0) -> list[Run]:
    """What of them is between two places, moved by that many units."""
    parts = ((max(run.start, start), min(run.end, end), run.owner) for run in runs)
    return [Run(first + shift, last + shift, owner) for first, last, owner in parts if first < last]


def paragraph(text: str, runs: Iterable[Run]) -> Paragraph:
    """Runs that touch and have one owner become one."""
    joined: list[Run] = []
    for run in sorted(runs):
        if joined and joined[-1].end >= run.start and joined[-1].owner == run.owner:
            joined[-1] = Run(joined[-1].start, run.end, run.owner)
        else:
            joined.append(run)
    return Paragraph(text, tuple(joined)) if joined else PLAIN


def paragraphs(text: str, runs: Sequence[Run]) -> list[Paragraph]:
    """Of a text with `\\n` between its paragraphs."""
    found, start = [], 0
    for line in text.split("\n"):
        end = start + utf16_length(line)
        found.append(paragraph(line, clipped(runs, start, end, -start)))
        start = end + 1
    return found


def joined(parts: Iterable[tuple[str, Sequence[Run]]]) -> tuple[str, list[Run]]:
    """One text after the other."""
    text, runs, length = "", list[Run](), 0
    for part, part_runs in parts:
        runs += [Run(run.start + length, run.end + length, run.owner) for run in part_runs]
        text += part
        length += utf16_length(part)
    return text, runs


def split(text: str, units: int) -> tuple[str, str]:
    """At that UTF-16 unit."""
    at = characters(text, units)
    return text[:at], text[at:]
