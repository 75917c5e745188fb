"""The passage that a draft replaces: its words, what of them stays, and windows of it that fit a canvas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING

from engine.protocol.requests import Span

if TYPE_CHECKING:
    from engine.text.detokenizer import Detokenizer

REPHRASED_SHARE = 0.5
"""Where as many of the words are drafted anew, the passage is to read otherwise."""
_FEW = 4
_ENDS = re.compile("[.。！？।۔።]")
_FULL_WIDTH = "。！？"
_IN_WORD = "'’-_"
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_SENTENCE_BEGINS = re.compile(r"(?:\A|\n[ \t]*\n|[.!?…。！？][\"'”’»)\]*_」』）]*)\s*\Z")
WHOLE_SENTENCE = re.compile(r"\w.*?(?:[.!?][\"'”’»)\]*_]*(?=\s+[^\sa-z]|\s*\Z)|[。！？])", re.DOTALL)
_ABBREVIATION = re.compile(r"(?:^\d+|(?:^|[\W\d_])(?:[^\W\d_]|[b-df-hj-np-tv-xz]{2,3}))\.$", re.IGNORECASE)
"""One letter, or a few without a vowel; and the number of a list's row."""
_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]*_]*(?=\s)|[。！？][”’」』）]*|(?=\n)")


@dataclass(frozen=True)
class Passage:
    """Tokens of a text, `held` ones of which stay to the letter."""

    ids: list[int] = field(default_factory=list)
    words: list[range] = field(default_factory=list)
    """The tokens of each word, with the white space before it."""
    held: frozenset[int] = frozenset()
    """Positions."""
    unlikely: frozenset[int] = frozenset()
    """Positions where a draft may not have the same token again."""

    @classmethod
    def of(cls, ids: list[int], spans: Collection[Span], blanks: int, detokenizer: Detokenizer) -> Passage:
        """ids: of a text that has `blanks` characters before the first one that spans, in characters, count.

        A token that a span touches is held, save for one whose white space alone it touches.
        """
        texts = detokenizer.texts(ids)[0]
        ends = list(accumulate(map(len, texts), initial=-blanks))
        touched = {
            index
            for index, ((start, end), text) in enumerate(zip(pairwise(ends), texts, strict=True))
            if any(start + _lead(text) < span.end and span.start < end for span in spans)
        }
        return cls(ids, words_of(texts), _with_begun_characters(touched, texts))

    def windows(self, capacity: int, detokenizer: Detokenizer) -> list[Passage]:
        """Parts of at most `capacity` tokens, cut at sentences' ends where there are any, else at words."""
        if not self.ids:
            return [self]
        texts = detokenizer.texts(self.ids)[0]
        begins = list(accumulate(map(len, texts), initial=0))
        ends = {found.end() for found in _SENTENCE_END.finditer("".join(texts))}
        cuts = [0]
        while len(self.ids) - cuts[-1] > capacity:
            start = cuts[-1]
            words = [word.start for word in self.words if start < word.start <= start + capacity]
            sentences = [at for at in words if begins[at] in ends]
            cuts.append((sentences or words or [start + capacity])[-1])
        return [self._part(start, end, texts[start:end]) for start, end in pairwise((*cuts, len(self.ids)))]

    def _part(self, start: int, end: int, texts: list[str]) -> Passage:
        words = [
            range(max(word.start, start) - start, min(word.stop, end) - start)
            for word in self.words
            if word.start < end and start < word.stop
        ]
        held = {at - start for at in self.held if start <= at < end}
        if texts and not any(map(str.isalnum, texts[-1])):
            held.add(len(texts) - 1)  # a sentence ends as it did
        return Passage(self.ids[start:end], words, _with_begun_characters(held, texts))

    def redrafting(self, words: Sequence[range], *, changed: int) -> Passage:
        """With all but these words held. The first `changed` of them become others."""
        drafted = {position for word in words for position in word}
        held = self.held | (frozenset(range(len(self.ids))) - drafted)
        unlikely = frozenset(next(at for at in word if at not in self.held) for word in words[:changed])
        return replace(self, held=held, unlikely=unlikely)

    def changing(self) -> Passage:
        """What is not held becomes another text: each token of a few, of a longer part every third one."""
        parts = [
            list(part)
            for is_held, part in groupby(range(len(self.ids)), self.held.__contains__)
            if not is_held
        ]
        unlikely = (part if len(part) <= _FEW else part[::3] for part in parts)
        return replace(self, unlikely=frozenset(at for part in unlikely for at in part))

    def placed(self, length: int, *, least_room: int = 1) -> tuple[int, dict[int, int]]:
        """Where what is held stands in a draft of about `length` tokens: in its order, at the same share of
        the way, with room for at least so many tokens wherever there were any → the length, and ids by
        position.
        """
        parts = groupby(range(len(self.ids)), key=self.held.__contains__)
        runs = [list(run) for held, run in parts if held]
        if not runs:
            return max(1, length), {}
        gaps_before = [least_room * int(run[0] > 0) for run in runs]
        needed = [gap + len(run) for gap, run in zip(gaps_before, runs, strict=True)]
        behind = least_room * int(runs[-1][-1] + 1 < len(self.ids))
        if len(self.held) == len(self.ids):
            length = len(self.ids)
        length = max(length, sum(needed) + behind)
        pins: dict[int, int] = {}
        least, most = 0, length - behind - sum(needed)
        for gap, run, room in zip(gaps_before, runs, needed, strict=True):
            wanted = round(run[0] * (length - len(run)) / max(1, len(self.ids) - len(run)))
            start = min(max(wanted, least + gap), most + gap)
            pins.update((start + n, self.ids[at]) for n, at in enumerate(run))
            least, most = start + len(run), most + room
        return length, pins


def begins_sentence(before: str) -> bool:
    """Whether a sentence begins behind this text: behind another one, or at a paragraph's start."""
    return _SENTENCE_BEGINS.search(before) is not None


def full_stop(before: str) -> str:
    """As the sentences of this text have it."""
    mark = (_ENDS.findall(before) or ["."])[-1]
    return "。" if mark in _FULL_WIDTH else mark


def follows_sentence(after: str) -> bool:
    """Whether this text is the end of the one before it, or begins a sentence of its own."""
    begins = after.lstrip(" \t")[:1]
    return begins in ("", "\n") or (begins.isalpha() and not begins.islower())


def has_sentence(text: str) -> bool:
    """Whether a sentence ends in this text, as app.editor.extent finds its end, or more strictly."""
    for found in WHOLE_SENTENCE.finditer(text):
        follows = next(filter(str.isalpha, text[found.end() :]), "")
        if not (follows.islower() or _ABBREVIATION.search(found[0])):
            return True
    return False


def is_in_fence(before: str) -> bool:
    """Whether this text ends within a fenced code block."""
    return len(_FENCE.findall(before)) % 2 == 1


def words_of(texts: Sequence[str]) -> list[range]:
    """The words that tokens make, by their texts. Scripts without spaces have a word for each token."""
    starts, pending, before = [0], None, ""
    for index, text in enumerate(texts):
        if not text:  # a part of a character, which the next one completes
            pending = index if pending is None else pending
            continue
        if before.strip() and not (_is_in_word(before[-1]) and _is_in_word(text[0])):
            starts.append(index if pending is None else pending)
        pending, before = None, text
    return [range(start, end) for start, end in pairwise((*starts, len(texts))) if start < end]


def _with_begun_characters(positions: Collection[int], texts: Sequence[str]) -> frozenset[int]:
    """With the tokens before each that hold the first parts of its character."""
    whole = set(positions)
    for at in range(len(texts) - 1, 0, -1):
        if at in whole and not texts[at - 1]:
            whole.add(at - 1)
    return frozenset(whole)


def _is_in_word(char: str) -> bool:
    return (char.isalnum() or char in _IN_WORD or unicodedata.combining(char) > 0) and (
        unicodedata.east_asian_width(char) not in "WF"
    )


def _lead(text: str) -> int:
    return len(text) - len(text.lstrip())
