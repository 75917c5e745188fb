"""Quotation marks and brackets without their partner: pure text rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from unicodedata import category

from app.editor.join import ends_sentence
from engine.protocol.requests import Span

_BRACKETS = dict(zip("([{（［｛「『【《〈〔", ")]}）］｝」』】》〉〕", strict=True))
_CLOSING = {closing: opening for opening, closing in _BRACKETS.items()}
_QUOTES = {"“": "”", "„": "“”", "«": "»", "»": "«", "‹": "›", "›": "‹", "”": "”", '"': '"'}
"""What each closes with: by language “…”, „…“, „…”, ”…”, «…», »…«."""
_SINGLE_OPEN = re.compile(
    r"(?<![\w‘’])‘(?!(?:t(?:is|was|were|il)|em|cause|n|bout|round)\b|\d\ds?\b)(?=\w)", re.IGNORECASE
)
_SINGLE_CLOSED = re.compile(r"(?<=\S)’(?!\w)")
_LOW_OPEN = re.compile(r"(?<!\S)‚(?=\w)")
_LOW_CLOSED = re.compile(r"(?<=\S)[‘’](?!\w)")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_SMILEY = re.compile(r"[:;=8]-?[([{]\Z")
_OPENS = "([{—–-¿¡„“«»‘'<>=/|+*:"
_STOPS = ".,;:!?)]}>"
_REACH = 24


def lone_marks(text: str, first: int, last: int) -> Iterator[Span]:
    """In text[first:last], each with the word that it stands at. What is open where the text ends in the
    middle of a sentence may yet be closed.
    """
    begins = max((found.end() for found in _BLANK_LINE.finditer(text, 0, first)), default=0)
    behind = _BLANK_LINE.search(text, last)
    ends = behind.start() if behind else len(text)
    cuts = [begins, *(found.end() for found in _BLANK_LINE.finditer(text, first, last)), ends]
    goes_on = not text[last:].strip() and not ends_sentence(text[:last].rstrip())
    brackets: list[int] = []
    found: list[int] = []
    for start, end in pairwise(cuts):
        quotes: list[int] = []
        found += _in_paragraph(text, start, end, quotes, brackets)
        if not (goes_on and end == ends):
            next_mark = text[end:].lstrip()[:1]  # a quotation goes on with its mark in the next paragraph
            found += [at for at in quotes if text[at] != next_mark]
            found += _single(text, start, end)
    if not goes_on:
        found += brackets
    return (_with_word(text, at, first, last) for at in found if first <= at < last)


def _with_word(text: str, at: int, first: int, last: int) -> Span:
    """From space to space, or a few characters where none are; of a closing mark only the stop before it."""
    start, end = at, at + 1
    if text[at] in '"”' and text[max(0, at - 1) : at].strip() and not text[end : end + 1].isalnum():
        while start > first and category(text[start - 1]) == "Po" and text[start - 1] != '"':
            start -= 1
        return Span(start, end)
    while start > max(first, at - _REACH) and not text[start - 1].isspace():
        start -= 1
    while end < min(last, at + _REACH) and not text[end].isspace():
        end += 1
    return Span(start, end)


def _in_paragraph(text: str, start: int, end: int, quotes: list[int], brackets: list[int]) -> Iterator[int]:
    """Marks whose partner is missing for certain. quotes, brackets: those that are open."""
    for at in range(start, end):
        char = text[at]
        if char in _BRACKETS:
            if not _SMILEY.search(text, max(start, at - 2), at + 1):
                brackets.append(at)
        elif char in _CLOSING:
            if any(text[each] == _CLOSING[char] for each in brackets):
                while text[brackets[-1]] != _CLOSING[char]:
                    yield brackets.pop()
                brackets.pop()
        elif char in _QUOTES:
            yield from _at_quote(text, start, at, quotes)


def _at_quote(text: str, start: int, at: int, quotes: list[int]) -> Iterator[int]:
    """The lone marks that this one shows. quotes: those that are open."""
    char, before, behind = text[at], text[max(start, at - 1) : at], text[at + 1 : at + 2]
    if char == '"' and before.isalnum() and behind.isalnum():  # as in Hebrew's abbreviations
        return
    opens = bool(behind.strip()) and (not before.strip() or (before in _OPENS and behind not in _STOPS))
    partner = next((n for n in reversed(range(len(quotes))) if char in _QUOTES[text[quotes[n]]]), None)
    if partner is not None and not (char == '"' and opens):
        yield from quotes[partner + 1 :]
        del quotes[partner:]
    elif quotes and text[quotes[-1]] == char:
        if text[start:at].rpartition("\n")[2].strip():  # each line of a long quotation may begin with it
            yield quotes[-1]
        quotes[-1] = at
    elif char in "„“«‹" or opens or not before.strip():
        quotes.append(at)
    elif char in '"”' and not before.isdigit():
        yield at


def _single(text: str, start: int, end: int) -> Iterator[int]:
    """‘…’ and ‚…‘, whose closing mark is an apostrophe as well: where there is none at all behind them."""
    low = [found.start() for found in _LOW_OPEN.finditer(text, start, end)]
    for at in low:
        if not _LOW_CLOSED.search(text, at + 1, end):
            yield at
    for found in _SINGLE_OPEN.finditer(text, start, end):
        if not _SINGLE_CLOSED.search(text, found.end(), end) and not any(at < found.start() for at in low):
            yield found.start()
