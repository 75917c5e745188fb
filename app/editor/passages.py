"""Passages of a text: whole words of a selection, what in them should stay, gaps that the writer left."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import QTextBoundaryFinder
from PySide6.QtGui import QTextCursor, QTextDocument

from app.documents.text import text_between, utf16_length
from engine.protocol.requests import Span

_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_GAP = re.compile(r"\[\[([^\[\]\n]*)\]\]")
_PROTECTED = re.compile(
    r"""
    ^\ {0,3}(?:```|~~~).*?^\ {0,3}(?:```|~~~)   # a fenced block
    | `[^`\n]+`                                  # code
    | “[^”\n]*” | „[^“”\n]*[“”] | «[^»\n]*» | »[^«\n]*« | "[^"\n]+" | 「[^」\n]*」
    | (?:https?://|www\.)[^\s)>\]]+ | [\w.+-]+@[\w-]+\.[\w.]+
    | !?\[[^\]\n]*\]\([^)\n]*\)                  # a Markdown link
    | ^\ {0,3}(?:\#{1,6}|[-*+>]|\d+[.)])(?=\s)   # what a line of Markdown begins with
    | \*\*|__|~~                                 # emphasis
    | \[\[[^\]\n]*\]\]
    | [$€£¥]?\d[\d.,:/’'%-]*\d[%°€$]?|\d+[%°€$]?  # numbers and dates
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_CAPITALISED = re.compile(r"(?<=[^\W\d_][,;:]\s|.[^\W\d_]\s)[A-ZÀ-ÖØ-Þ][\w’'-]*|\b[A-ZÀ-ÖØ-Þ]{2,}\b")
"""A word with a capital that no sentence begins with."""
MANY_NAMES = 0.25
"""Of the words: where as many begin with capitals, as nouns do in German, they are no names."""


def whole_words(selection: QTextCursor) -> QTextCursor | None:
    """The selection without white space at its ends, grown to whole words; None if it has no letter."""
    document, start, end = selection.document(), selection.selectionStart(), selection.selectionEnd()
    text = text_between(document, start, end)
    if not any(map(str.isalnum, text)):
        return None
    start += utf16_length(text) - utf16_length(text.lstrip())
    end -= utf16_length(text) - utf16_length(text.rstrip())
    cursor = QTextCursor(document)
    cursor.setPosition(_word_edge(document, start, -1))
    cursor.setPosition(_word_edge(document, end, 1), QTextCursor.MoveMode.KeepAnchor)
    return cursor


def _word_edge(document: QTextDocument, position: int, side: int) -> int:
    """The edge of the word that the position is in the middle of, else the same. side: -1 left, 1 right."""
    block = document.findBlock(position)
    finder = QTextBoundaryFinder(QTextBoundaryFinder.BoundaryType.Word, block.text())
    finder.setPosition(position - block.position())
    if not block.text() or finder.isAtBoundary():
        return position
    edge = finder.toPreviousBoundary() if side < 0 else finder.toNextBoundary()
    return block.position() + edge


def segments(text: str, kind: QTextBoundaryFinder.BoundaryType) -> list[str]:
    """The text, cut at Unicode's boundaries of words or of sentences."""
    finder, units, parts = QTextBoundaryFinder(kind, text), text.encode("utf-16-le"), []
    start = 0
    while (end := finder.toNextBoundary()) > 0:
        parts.append(units[2 * start : 2 * end].decode("utf-16-le"))
        start = end
    return parts


def crosses_a_fence(text: str) -> bool:
    """It has the one end of a fenced code block and not the other."""
    return len(_FENCE.findall(text)) % 2 == 1


def protected(passage: str) -> tuple[Span, ...]:
    """Quotations, names, numbers, dates, links, mark-up and code."""
    spans = [Span(*found.span()) for found in _PROTECTED.finditer(passage)]
    names = [Span(*found.span()) for found in _CAPITALISED.finditer(passage)]
    if len(names) <= MANY_NAMES * len(passage.split()):
        spans += names
    return tuple(sorted((span for span in spans if span.start < span.end), key=lambda span: span.start))


@dataclass(frozen=True)
class WriterGap:
    """`[[…]]` in a text. start, end: UTF-16 positions."""

    start: int
    end: int
    note: str
    """What belongs there, in the writer's words."""
    fills_its_line: bool


def writer_gaps(document: QTextDocument) -> Iterator[WriterGap]:
    block = document.firstBlock()
    while block.isValid():
        text = block.text()
        for found in _GAP.finditer(text):
            start = block.position() + utf16_length(text[: found.start()])
            alone = not (text[: found.start()] + text[found.end() :]).strip()
            yield WriterGap(start, start + utf16_length(found[0]), found[1].strip(" ….:"), alone)
        block = block.next()
