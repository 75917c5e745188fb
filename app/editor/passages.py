"""Passages of a text: whole words of a selection, what in them should stay, gaps that the writer left."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from PySide6.QtCore import QTextBoundaryFinder
from PySide6.QtGui import QTextCursor, QTextDocument

from app.documents.text import cursor_over, text_between, utf16_length
from engine.protocol.requests import Span

_FENCE = re.compile(r"^ {0,3}(`{3,}(?=[^`\n]*$)|~{3,})[ \t]*(.*)$", re.MULTILINE)
_GAP = re.compile(r"\[\[([^\[\]\n]*)\]\]")
_NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    "|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-[a-z]+)?|hundreds?|thousands?|[mb]illions?"
    "|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|[a-zäöüß]*(?:hundert|tausend)|Million(?:en)?"
    "|deux|trois|quatre|cinq|sept|huit|neuf|dix|onze|douze|vingt|cent|mille"
    "|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|veinte|cien|ciento|mil"
)
"""English, German, French, Spanish."""
_CODE = r"""
    ^\ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^\ {0,3}(?P=fence)[`~]*\ *$  # a fenced block
    | `[^`\n]+`                                   # code
    | (?:https?://|www\.)[^\s<>)\]]*[^\s<>)\].,;:!?…'"”’»] | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
    | !?\[[^\]\n]*\]\([^)\n]*\) | </?[a-zA-Z][^<>\n]*>
"""
"""And links and tags; a verbose pattern, as the next one."""
_PROTECTED = rf"""
    \b(?i:{_NUMBER_WORDS})\b
    | {_CODE}
    | “[^”\n]*(?:”|$) | \A[^“”„\n]*”              # quotations, and parts of those that go on
    | „[^“”\n]*[“”] | «[^»\n]*» | »[^«\n]*« | ‹[^›\n]*› | "[^"\n]+" | 「[^」\n]*」 | 『[^』\n]*』
    | ‘[^\n]*?’(?!\w) | ‚[^\n]*?[‘’](?!\w) | (?<!\w)'[^'\n]+'(?!\w)
    | ^\ {{0,3}}(?:\#{{1,6}}|[-*+>]|\d+[.)])(?=\s)    # what a line of Markdown begins with
    | \*{{2,3}}|__|~~ | (?<![\w*])[*_](?=[^\s*_]) | (?<=[^\s*_])[*_](?![\w*])  # emphasis
    | \[\[[^\]\n]*\]\]
    | \d{{1,2}}\.?\s(?:de\s)?[^\W\d_]+\s(?:de\s)?\d{{4}}\b    # a date
    | (?<!\w)[-−+]?[$€£¥]?[A-Za-z]*\d(?:[\d.,:/’'%A-Za-z年月日-]*[\dA-Za-z年月日])?[%°€$£¥]?
    | \d+(?:[.,:/年月]\d+)*[年月日%°]? | [½¼¾⅓⅔]
"""
"""A verbose pattern; compiled when it is first needed, since the first paint has a target."""
_WORD = re.compile(r"[^\W\d_][\w’'-]*")
_BEGINS_SENTENCE = re.compile(r"(?:^|[.!?…。！？][^\w\s]*\s+|\n)[^\w\n]*$|(?:^|[\s(\[—–])[\"“„«»‘‚]$")
_ABBREVIATED = re.compile(r"\b(?:[^\W\d_]|[b-df-hj-np-tv-xz]{2,3}|Prof|\d{1,2})\.[^\S\n]\Z", re.IGNORECASE)
_GERMAN_NOUN = re.compile(
    r"\b(?:d(?:er|ie|as|em|en)|k?ein(?:e[nmrs]?)?|im|zu[mr]|vom|beim|ins|diese[nmrs]?|jede[nmrs]?|viele[nr]?"
    r"|(?:mein|dein|sein|ihr|unser|euer)(?:e[nmrs]?)?)\s(?:[^\W\d_]+\s)?$",
    re.IGNORECASE,
)
"""What comes before a word that has its capital as a noun."""
_NO_PROSE = "\ufffc"
"""Unicode's character for an object among the text."""
_REACH = 40
NAMES_REACH = 5_000
"""Characters around a passage."""
MANY_NAMES = 0.6
"""Of the words: where as many have capitals, as in a headline, they are no names."""


def whole_words(selection: QTextCursor) -> QTextCursor | None:
    """The selection without white space at its ends, grown to whole words; None if it has no letter."""
    document, start, end = selection.document(), selection.selectionStart(), selection.selectionEnd()
    text = text_between(document, start, end)
    if not any(map(str.isalnum, text)):
        return None
    start += utf16_length(text) - utf16_length(text.lstrip())
    end -= utf16_length(text) - utf16_length(text.rstrip())
    return cursor_over(document, _word_edge(document, start, -1), _word_edge(document, end, 1))


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


def crosses_a_fence(passage: QTextCursor) -> bool:
    """Its lines have the one end of a fenced code block and not the other."""
    document = passage.document()
    first, last = document.findBlock(passage.selectionStart()), document.findBlock(passage.selectionEnd())
    above = deque(_fences(text_between(document, 0, first.position())), maxlen=1)
    begins_in = above[0] if above else ""
    lines = text_between(document, first.position(), last.position() + last.length() - 1)
    inside = [begins_in, *_fences(lines, begins_in)]
    return set(inside) != {begins_in} if begins_in else bool(inside[-1])


def _fences(text: str, fence: str = "") -> Iterator[str]:
    """What the code block is fenced with behind each fence's line; empty outside of one. fence: before."""
    for mark, info in _FENCE.findall(text):
        if not fence:
            fence = mark
        elif mark.startswith(fence) and not info:
            fence = ""
        yield fence


def without_code(text: str) -> str:
    """As long as the text, with what is no prose in it replaced: code, links, tags."""

    def blank(found: re.Match[str]) -> str:
        return "".join(char if char == "\n" else _NO_PROSE for char in found[0])

    return re.sub(_CODE, blank, text, flags=re.VERBOSE | re.MULTILINE | re.DOTALL)


def protected(passage: str, before: str = "", after: str = "") -> tuple[Span, ...]:
    """Quotations, names, numbers, dates, links, mark-up and code; none, where there is nothing else: then
    they are what is meant. before, after: text around, which tells what is a name.
    """
    spans = [
        Span(*found.span())
        for found in re.finditer(_PROTECTED, passage, re.VERBOSE | re.MULTILINE | re.DOTALL)
    ]
    spans += names(before[-NAMES_REACH:], passage, after[:NAMES_REACH])
    spans.sort(key=lambda span: span.start)
    ends = accumulate((span.end for span in spans), max, initial=0)
    free = [
        passage[end:start] for end, start in zip(ends, [*(span.start for span in spans), None], strict=True)
    ]
    return tuple(spans) if any(map(str.isalnum, "".join(free))) else ()


def names(before: str, passage: str, after: str) -> list[Span]:
    """Words with a capital that no sentence begins with, and the same ones where one does."""
    text, start = before + passage + after, len(before)
    words = list(_WORD.finditer(text))
    known = {word[0] for word in words if _has_own_capital(word)}
    known -= {word[0].capitalize() for word in words if word[0].islower()}
    inside = [word for word in words if start <= word.start() < start + len(passage)]
    names = [word for word in inside if word[0] in known]
    if len(names) >= max(3, MANY_NAMES * len(inside)):
        return []
    return [Span(word.start() - start, min(word.end() - start, len(passage))) for word in names]


def _has_own_capital(word: re.Match[str]) -> bool:
    text = word[0]
    if text.islower() or text.partition("’")[0].partition("'")[0] == "I":
        return False
    if any(map(str.isupper, text[1:])):
        return True
    before = word.string[max(0, word.start() - _REACH) : word.start()]
    begins = _BEGINS_SENTENCE.search(before) and not _ABBREVIATED.search(before)
    return text[0].isupper() and not begins and not _GERMAN_NOUN.search(before)


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
