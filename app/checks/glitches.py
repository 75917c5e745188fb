"""Glitches of a draft: what is broken in it whatever it says. Pure text rules.

Told are words that stand twice in a row, words that are broken off or glued, quotation marks and brackets
without their partner, and sentences that were said before. A word that is merely wrong is not: there is no
dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from unicodedata import east_asian_width

from PySide6.QtCore import QTextBoundaryFinder

from app.checks.languages import WORD, Language, language_of
from app.checks.open_marks import lone_marks
from app.drafting.finding import Finding
from app.editor.passages import segments, without_code
from engine.protocol.requests import Span

NEAR_CHARACTERS = 2_000
"""Of the text on either side that a draft is compared with."""
NEIGHBOURS = 2
"""Paragraphs on either side, the one that the draft continues included."""
_SENTENCE = QTextBoundaryFinder.BoundaryType.Sentence
_LEAST_WORDS, _LEAST_LETTERS = 4, 12
"""Of a sentence that is not to be said twice."""
_HYPHENATED = re.compile(r"[^\W\d_]{2,}-(?=[^\S\n]+([^\W\d_]+)|\s*\Z)")
_GLUED = re.compile(r"\b([^\W\d_]*[^\W\d_A-Z])[.!?,;:]?([A-Z][^\W\d_]*)\b(?![.@/_])")
_VOWELLESS = re.compile(r"(?<![\w'’.-])[b-df-hj-np-tv-xz]+\Z")
_NO_FRAGMENTS = frozenset({"hm", "hmm", "mm", "sh", "shh", "psst", "brr", "grr", "tsk", "pfft", "nth", "vs"})
_JOINING = frozenset({"and", "or", "nor", "to", "und", "oder", "bis", "et", "ou", "y", "o", "e", "of", "en"})
"""Words behind a hyphen that stands for a part of a word, as in “pre- and post-war”."""


def glitches(draft: str, before: str = "", after: str = "") -> tuple[Finding, ...]:
    """In their order. before, after: the text around."""
    before, after = before[-NEAR_CHARACTERS:], after[:NEAR_CHARACTERS]
    whole = without_code(before + draft + after)
    first, last = len(before), len(before) + len(draft)
    language = language_of(draft + "\n" + before)
    found = [
        *((span, "Said twice in a row") for span in _doubled(whole, first, last, language)),
        *(
            (span, "A word is broken off")
            for span in _broken(whole[first:last], first, whole[last:], language)
        ),
        *((span, "Two words are glued") for span in _glued(whole, first, last, language)),
        *((span, "Its other mark is missing") for span in lone_marks(whole, first, last)),
        *((span, "Said before") for span in _repeated(whole, first, last)),
    ]
    inside = (
        Finding("glitch", Span(max(0, span.start - first), min(len(draft), span.end - first)), reason)
        for span, reason in found
        if span.start < last and first < span.end
    )
    return tuple(sorted(inside, key=lambda finding: (finding.span.start, finding.span.end)))


def _doubled(text: str, first: int, last: int, language: Language | None) -> Iterator[Span]:
    """The second one of each two; the first one where only that is the draft's."""
    if language is None:
        return
    for one, other in pairwise(WORD.finditer(text, max(0, first - 80), last + 80)):
        word, between = other[0].casefold(), text[one.end() : other.start()]
        if one[0].casefold() != word or between.strip() or between.count("\n") > 1:
            continue
        names = one[0][0].isupper() and other[0][0].isupper() and word not in language.common
        is_double_name = names and text.count(other[0]) == 2 * text.count(one[0] + between + other[0])
        emphatic = language.doubles and word not in language.common
        if not (word in language.twice or is_double_name or emphatic):
            drafted = other if other.start() < last else one
            yield Span(*drafted.span())


def _broken(draft: str, first: int, after: str, language: Language | None) -> Iterator[Span]:
    """A hyphen with nothing behind it; at the draft's end, letters without a vowel."""
    goes_on = after[:1].isalnum()
    for found in _HYPHENATED.finditer(draft):
        if next_word := found[1]:
            broken, end = next_word.islower() and next_word not in _JOINING, found.end(1)
        else:
            broken, end = not goes_on, found.end()
        if broken and (language or not next_word):
            yield Span(first + found.start(), first + end)
    if language is None:
        return
    fragment = _VOWELLESS.search(draft.rstrip())
    if fragment and not goes_on and fragment[0] not in _NO_FRAGMENTS:
        before = draft[: fragment.start()].rstrip()[-1:]
        if not before.isdigit():
            yield Span(first + fragment.start(), first + fragment.end())


def _glued(text: str, first: int, last: int, language: Language | None) -> Iterator[Span]:
    """“riverThe”: a part of it is a common word, or both parts stand alone elsewhere."""
    common = language.common if language else frozenset[str]()
    compounds = language is None or language.noun_capitals
    alone = frozenset[str]() if compounds else frozenset(WORD.findall(text))
    for found in _GLUED.finditer(text, first, last):
        head, tail = found.groups()
        are_common = head.casefold() in common, tail.casefold() in common
        # With a capital at its start it may be a name, as WordPress is.
        begins_small = head[0].islower() and (any(are_common) or alone.issuperset((head, tail)))
        if (begins_small or all(are_common)) and min(len(head), len(tail)) > 1:
            yield Span(*found.span())


def _repeated(text: str, first: int, last: int) -> Iterator[Span]:
    """Sentences of the draft that stand in it, or in the paragraphs beside it, already."""
    begins = _paragraph(text, first, -1)
    ends = _paragraph(text, last, 1)
    said: set[str] = set()
    drafted: list[tuple[Span, str]] = []
    for start, sentence in _sentences(text[begins:ends], begins):
        words = re.findall(r"\w+", sentence.casefold())
        letters = "".join(words)
        wide = east_asian_width(letters[:1] or " ") in "WF"  # written without spaces
        if len(letters) < _LEAST_LETTERS - 4 * wide or (len(words) < _LEAST_WORDS and not wide):
            continue
        span = Span(max(first, start), min(last, start + len(sentence)))
        if span.start < span.end:
            drafted.append((span, " ".join(words)))
        else:
            said.add(" ".join(words))
    for span, key in drafted:
        if key in said:
            yield span
        said.add(key)


def _sentences(text: str, place: int) -> Iterator[tuple[int, str]]:
    """Each with where it begins, in one line. place: where the text begins."""
    for line in text.splitlines(keepends=True):
        parts: list[str] = []
        for part in segments(line, _SENTENCE):
            if parts and part[:1].islower():  # “Who is it?” she asked
                parts[-1] += part
            else:
                parts.append(part)
        for part in parts:
            yield place + len(part) - len(part.lstrip()), part.strip()
            place += len(part)


def _paragraph(text: str, place: int, side: int) -> int:
    """Where the neighbouring paragraphs begin, or end."""
    found = 0
    step = text.rfind if side < 0 else text.find
    for _ in range(NEIGHBOURS):
        while 0 < place < len(text) and text[place - (side < 0)].isspace():
            place += side
        found = step("\n", 0, place) if side < 0 else step("\n", place)
        if found < 0:
            return 0 if side < 0 else len(text)
        place = found
    return place
