"""Numbers of a text by their values, in digits of any script or in words. Pure text rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.checks.languages import WORD, Language
from engine.protocol.requests import Span

_DIGITS = re.compile(
    r"(?<![A-Za-z\u00c0-\u024f\d])(\d+(?:[.,:/'’-]\d+|[\u00a0\u202f ]\d{3}(?!\d))*)(?:[a-z]{1,3}(?![^\W_]))?"
)
"""With a short ending, as of 3rd and of 1980s."""
_GROUPED = re.compile(r"\d{1,3}(?:([.,'’\u00a0\u202f ])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_PARTED = re.compile(r"\d+(?:[:/-]\d+)+")
_DECIMAL = re.compile(r"\d+[.,]\d+")
_JOINS = re.compile(r"[\s-]+(?:(?:and|et|y)[\s-]+)?")
_JOINING = ("and", "et", "y")
_LEAST = 2
"""A word for less, as “one”, is no number."""


@dataclass(frozen=True)
class Number:
    span: Span
    values: frozenset[str]
    """What it may mean: 1.000 is a thousand, or one."""


def numbers(text: str, language: Language | None) -> Iterator[Number]:
    """In digits, then in words of the language."""
    scales = {word: value for word, value in _words(language).items() if value >= 1_000}
    for found in _DIGITS.finditer(text):
        values, end = set(_values(found[1])), found.end()
        behind = WORD.match(text, found.end() + 1) if text[found.end() : found.end() + 1].isspace() else None
        if behind and (scale := scales.get(behind[0].casefold())):
            values = {_plain(float(value) * scale) for value in values if _is_number(value)} or values
            end = behind.end()
        yield Number(Span(found.start(), end), frozenset(values))
    if language and language.numbers:
        yield from _spelled(text, language)


def _words(language: Language | None) -> dict[str, int]:
    return dict(language.numbers) if language else {}


def _values(digits: str) -> Iterator[str]:
    """Of one number in digits, by every way that it may be read."""
    digits = "".join(str(int(char)) if char.isdigit() else char for char in digits)
    if _PARTED.fullmatch(digits):
        parts = [str(int(part)) for part in re.split(r"[:/-]", digits)]
        yield ":".join(parts)
    if found := _GROUPED.fullmatch(digits):
        whole = digits.replace(found[1], "")
        yield _plain(float(whole.replace(",", ".")))
    if _DECIMAL.fullmatch(digits):
        yield _plain(float(digits.replace(",", ".")))
        yield digits.replace(".", ":")
    if digits.isdigit():
        yield str(int(digits))
    yield digits


def _plain(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _is_number(value: str) -> bool:
    return value.replace(".", "", 1).isdigit()


def _spelled(text: str, language: Language) -> Iterator[Number]:
    """“two hundred and five”: words that belong together, and their value."""
    if not language.noun_capitals and language.numbers.keys().isdisjoint(WORD.findall(text.casefold())):
        return  # most texts have none, which is found out sooner
    run: list[re.Match[str]] = []
    parts: list[int] = []
    for word in WORD.finditer(text):
        value = _value_of(word[0].casefold(), language)
        if value is None and word[0] in _JOINING:
            continue
        joined = run and _JOINS.fullmatch(text, run[-1].end(), word.start())
        if run and not (value is not None and joined and _goes_on(parts, value)):
            yield from _number(text, run, parts)
            run, parts = [], []
        if value is not None:
            run.append(word)
            parts.append(value)
    if run:
        yield from _number(text, run, parts)


def _number(text: str, run: list[re.Match[str]], parts: list[int]) -> Iterator[Number]:
    total, current = 0, 0
    for part in parts:
        if part >= 1_000:
            total, current = total + max(1, current) * part, 0
        elif part == 100:
            current = max(1, current) * 100
        else:
            current += part
    digits_before = text[: run[0].start()].rstrip()[-1:].isdigit()
    if total + current >= _LEAST and not digits_before:
        yield Number(Span(run[0].start(), run[-1].end()), frozenset({str(total + current)}))


def _goes_on(parts: list[int], value: int) -> bool:
    """Whether a part of this value continues the number."""
    if value >= 100:
        return parts[-1] < value
    rest = parts[-1] % 100
    return parts[-1] >= 100 or (rest >= 20 and rest % 10 == 0 and value < 20)


def _value_of(word: str, language: Language) -> int | None:
    """Of one word, which may be put together as “einundzwanzig” is."""
    known = language.numbers
    if word in known or not language.noun_capitals:
        return known.get(word)
    for scale in ("tausend", "hundert"):
        head, found, tail = word.partition(scale)
        if found:
            many, more = _value_of(head, language) if head else 1, _value_of(tail, language) if tail else 0
            return None if many is None or more is None else many * known[scale] + more
    ones, found, tens = word.partition("und")
    one, ten = known.get(ones), known.get(tens)
    return one + ten if found and one and ten and one < 10 <= ten else None
