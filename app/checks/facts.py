"""Names, numbers and dates of a draft that the writer's text does not say. Pure text rules.

For languages that write all nouns with a capital only names behind a title are told; scripts without capitals
have numbers only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, cached_property

from PySide6.QtCore import QLocale

from app.checks.languages import ENGLISH, GERMAN, WORD, Language, language_of
from app.checks.numbers import Number, numbers
from app.drafting.finding import Finding
from app.editor.passages import names, without_code
from engine.protocol.requests import Span

NEAR_CHARACTERS = 3_000
"""Of the text on either side: read word by word. What lies farther is searched for what is not there."""
NAME_CHARACTERS = 1_500
"""So much of it tells what is a name."""
MANY_CAPITALS = 0.15
"""Of the words that begin no sentence: where as many have one, nouns may have it."""
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "prof", "sir", "lady", "lord", "herr", "herrn", "frau"})
_TITLED = re.compile(r"\b(?:Herrn?|Frau|Fräulein|Dr\.|Prof\.|Familie)\s+([^\W\d_][\w’-]+)")
_INSIDE = re.compile(r"(?<=[^\W_]\s)[A-Za-z\u00c0-\u024f]{2,}")
"""Words of Latin letters behind others: in no other script have all nouns a capital."""
_ALSO_WORDS = frozenset({"may", "march", "mars", "august"})
"""Months that are words as well."""
_REASON = {
    "name": "This name is not from your text",
    "number": "This number is not from your text",
    "date": "This date is not from your text",
}


def new_facts(draft: str, before: str = "", after: str = "", more: str = "") -> tuple[Finding, ...]:
    """In their order, a name where it stands first. before, after: all of the text around; more: what else
    was sent.
    """
    text = without_code(draft)
    near_before, near_after = without_code(before[-NEAR_CHARACTERS:]), without_code(after[:NEAR_CHARACTERS])
    language = language_of(f"{text}\n{near_before}")
    sent = _Sent(
        "\n".join((near_before, near_after, more)),
        (before[:-NEAR_CHARACTERS], after[NEAR_CHARACTERS:]),
        language,
    )
    found = [
        (number.span, "number")
        for number in numbers(text, language)
        if not sent.has_number(number, text[number.span.start : number.span.end])
    ]
    found += [(span, "date") for span in _dates_in(text, language) if not sent.has_word(_at(text, span))]
    told: set[str] = set()
    for span in _capitalised(text, near_before[-NAME_CHARACTERS:], near_after[:NAME_CHARACTERS], language):
        word = _at(text, span)
        if _key(word) not in told and not sent.has_word(word):
            told.add(_key(word))
            found.append((span, "name"))
    return tuple(Finding("fact", span, _REASON[kind]) for span, kind in _joined(text, found))


class _Sent:
    """What the writer's text says."""

    def __init__(self, near: str, far: tuple[str, str], language: Language | None) -> None:
        self._near, self._far, self._language = near, far, language
        self._words = frozenset(WORD.findall(near.casefold()))
        self._stands_far = cache(self._search_far)

    @cached_property
    def _values(self) -> frozenset[str]:
        found = numbers(self._near, self._language)
        return frozenset(value for number in found for value in number.values)

    def has_word(self, word: str) -> bool:
        """As it is, or with another ending: in English only an s."""
        key = _key(word)
        if not self._words.isdisjoint((key, f"{key}s", f"{key}'s", f"{key}’s", key.removesuffix("s"))):
            return True
        if "-" in key and self._words.issuperset(key.split("-")):
            return True
        if self._language is not ENGLISH:
            stem = key[: max(4, len(key) - 3)]
            likely = (other for other in self._words if abs(len(other) - len(key)) <= 3)
            if any(other.startswith(stem) for other in likely):
                return True
        return self._stands_far(_bare(word))

    def has_number(self, number: Number, spelled: str) -> bool:
        if number.values & self._values:
            return True
        return any(map(self._stands_far, {spelled, *number.values, *map(_grouped, number.values)}))

    def _search_far(self, spelling: str) -> bool:
        """As a word of its own."""
        for text in self._far:
            at = text.find(spelling)
            while at >= 0:
                end = at + len(spelling)
                if not (text[max(0, at - 1) : at].isalnum() or text[end : end + 1].isalnum()):
                    return True
                at = text.find(spelling, end)
        return False


def _at(text: str, span: Span) -> str:
    return text[span.start : span.end]


def _capitalised(text: str, before: str, after: str, language: Language | None) -> Iterator[Span]:
    """Words that are names, for all that can be told."""
    nouns = language.noun_capitals if language else _share_of_capitals(before + text + after) >= MANY_CAPITALS
    if nouns:
        yield from (Span(*found.span(1)) for found in _TITLED.finditer(text))
        return
    no_names = _TITLES | _dates(language) | (language.common if language else frozenset())
    for span in names(before, text, after):
        word = _at(text, span)
        if word[0].isupper() and _key(word) not in no_names:
            yield span


def _share_of_capitals(text: str) -> float:
    inside: list[str] = _INSIDE.findall(text)
    return sum(word[0].isupper() for word in inside) / max(1, len(inside))


@cache
def _dates(language: Language | None) -> frozenset[str]:
    """The names of days and months."""
    if language is None:
        return frozenset()
    locale, long = QLocale(language.locale), QLocale.FormatType.LongFormat
    days = (locale.standaloneDayName(day, long) for day in range(1, 8))
    months = (locale.standaloneMonthName(month, long) for month in range(1, 13))
    return frozenset(name.casefold() for name in (*days, *months))


def _dates_in(text: str, language: Language | None) -> Iterator[Span]:
    """Days and months by their names. Some are other words as well where a sentence begins with them."""
    capitals = language is ENGLISH or language is GERMAN
    for word in WORD.finditer(text):
        name = _key(word[0])
        if name not in _dates(language) or (capitals and word[0].islower()):
            continue
        if name not in _ALSO_WORDS or _INSIDE.match(text, word.start()):
            yield Span(word.start(), word.start() + len(_bare(word[0])))


def _bare(word: str) -> str:
    """Without what makes it a possessive."""
    return re.sub(r"['’]s?$", "", word)


def _key(word: str) -> str:
    return _bare(word).casefold()


def _grouped(value: str) -> str:
    return f"{int(value):,}" if value.isascii() and value.isdigit() else value


def _joined(text: str, found: list[tuple[Span, str]]) -> Iterator[tuple[Span, str]]:
    """What stands side by side is one: a date if a part of it is."""
    parts = sorted(found, key=lambda part: (part[0].start, part[0].end))
    while parts:
        span, kind = parts.pop(0)
        while (
            parts
            and text[span.end : parts[0][0].start].strip(" ") == ""
            and parts[0][0].start <= span.end + 1
        ):
            other, other_kind = parts.pop(0)
            span = Span(span.start, max(span.end, other.end))
            kind = "date" if "date" in (kind, other_kind) else kind
        yield span, kind
