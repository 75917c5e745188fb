"""How a draft joins the text around it: pure text rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from unicodedata import bidirectional, category, east_asian_width, normalize

from PySide6.QtCore import QTextBoundaryFinder

from app.documents.text import LINE_END, insertable, utf16_length

NEAR_CHARACTERS = 10_000
_BREAK = re.compile(r"[ \t]*\n(?:[ \t]*\n)*")
FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+\S", re.MULTILINE)
_BLANK_LINE = re.compile(r"\S[ \t]*\n(?:[ \t]*\n)+(?=[ \t]*\S)")
_SCENE_BREAK = re.compile(r"\s*([*_\-])(?:\s*\1){2,}")
ROW = re.compile(r"\s*(?:(?:[-*+•]|\d+[.)])\s|>|\|)")
"""A line of a list, a quotation or a table: the next one follows it without a blank line."""
_BARE_MARKER = re.compile(r"\s*(?:[-*+•>]|#+|\d+[.)])")
_ABBREVIATION = re.compile(r"(?:^|[\W\d_])(?:[^\W\d_]|[b-df-hj-np-tv-xz]{2,3})\.$", re.IGNORECASE)
"""`J.`, `z. B.`, `Dr.`, `Mrs.`: one letter, or a few without a vowel."""
_QUOTES = "\"'*_~`"
"""They open or close, by what stands beside them."""
_STOPS = ".,;:。、，；："


class JoinMode(Enum):
    """How a draft joins the text around it."""

    INLINE = "inline"
    NEW_PARAGRAPH = "new paragraph"
    BEFORE = "before"
    """A paragraph of its own before the one that the caret is at the start of."""
    WITHIN = "within"
    """Shown below the paragraph, put in at the caret: within it, or behind words that read the other way."""


@dataclass(frozen=True)
class TextContext:
    """The text on both sides of the place where a draft goes, as plain text with `\n` between paragraphs."""

    before: str
    after: str
    is_markdown: bool = False
    """By the file's name: lines that no blank line separates are one paragraph there."""

    @cached_property
    def line_before(self) -> str:
        return self.before.rpartition("\n")[2]

    @cached_property
    def line_after(self) -> str:
        return self.after.partition("\n")[0]

    @cached_property
    def join(self) -> Join:
        line = self.line_before
        in_code = len(FENCE.findall(self.before)) % 2 == 1
        begins_anew = bool(FENCE.match(line)) or (not in_code and _ends_paragraph(line))
        return Join(begins_anew, "\n" if in_code else self._paragraph_separator(), in_code)

    def _paragraph_separator(self) -> str | None:
        """What stands between most paragraphs nearby; None if that cannot be told."""
        before, after = self.before[-NEAR_CHARACTERS:], self.after[:NEAR_CHARACTERS]
        near = before + after
        blank = max(len(_BLANK_LINE.findall(text)) for text in (near, before + "."))
        single = sum(
            bool(following.strip()) and not ROW.match(line) and ends_sentence(line)
            for line, following in pairwise(near.split("\n"))
        )
        if blank or single:
            return "\n\n" if blank >= single else "\n"
        return "\n\n" if self.is_markdown or re.search(_HEADING, near) else None


@dataclass(frozen=True)
class Join:
    """How a draft was joined to the text when it was begun; what is edited since is looked at anew."""

    begins_anew: bool
    """The line before it was a whole one."""
    separator: str | None
    """What the document itself puts between paragraphs: one line break, or a blank line."""
    in_code: bool
    in_line: bool = False
    """It stays in its line, whatever stands beside it there."""

    def mode(self, around: TextContext) -> JoinMode:
        """Where it stands now. around: the text near the anchor."""
        before, after = around.line_before, around.line_after
        if after.strip():
            return JoinMode.WITHIN if before.strip() else JoinMode.BEFORE
        if (self.begins_anew and before.strip()) or self.lead(around):
            return JoinMode.NEW_PARAGRAPH
        return JoinMode.WITHIN if _ends_against(before) else JoinMode.INLINE

    def lead(self, around: TextContext) -> str:
        """The line breaks that keep puts in before the draft."""
        if self._continues_line(around):
            return ""
        return "\n" * (self._breaks(around) - _line_breaks(around.before, -1))

    def tail(self, around: TextContext) -> str:
        """What keep puts in behind the draft."""
        if self._continues_line(around):
            return ""
        indent = around.line_before if around.line_after.strip() else ""
        return "\n" * (self._breaks(around) - _line_breaks(around.after, 1)) + indent

    def _continues_line(self, around: TextContext) -> bool:
        return self.in_line or bool(
            around.line_before.strip() and (around.line_after.strip() or not self.begins_anew)
        )

    def _breaks(self, around: TextContext) -> int:
        """How many line breaks stand on both sides of the draft's own paragraph; none at the text's ends."""
        above, below = _line_breaks(around.before, -1), _line_breaks(around.after, 1)
        previous = around.before.rstrip().rpartition("\n")[2]
        fills_the_only_blank_line = above == below == 1
        whole = self.begins_anew if above == 0 else _ends_paragraph(previous)
        goes_on = above < 2 and not fills_the_only_blank_line and (bool(ROW.match(previous)) or not whole)
        return 1 if goes_on or self.in_code else len(self.separator or "\n")

    def shown(self, pieces: Sequence[str], around: TextContext) -> list[str]:
        """The draft as it is shown and kept, piece by piece: without the white space its place has already,
        and with what its place lacks.
        """
        pieces = [LINE_END.sub("\n", insertable(piece)) for piece in pieces]
        text = "".join(pieces)
        chars = self._in_code(text, around) if self.in_code else self._in_prose(text, around)
        ends = accumulate(map(len, pieces), initial=0)
        return ["".join(chars[start:end]) for start, end in pairwise(ends)]

    def part(self, text: str, around: TextContext) -> str:
        """A part of a draft that is shown, as it is put in without the rest: no words are glued."""
        if self.in_code:
            return text.rstrip()
        bare = text.strip()
        if not self._continues_line(around):
            return bare
        before = around.line_before
        seam = text[: text.find(bare)] or (" " if _needs_space(before, bare) else "")
        behind = " " if _needs_space(bare, around.line_after) else ""
        return ("" if before[-1].isspace() else seam) + bare + behind

    def _in_code(self, text: str, around: TextContext) -> list[str]:
        end = len(text.rstrip())
        start = end - len(text[:end].lstrip("\n")) if self.lead(around) else 0
        return [""] * start + list(text[start:end]) + [""] * (len(text) - end)

    def _in_prose(self, text: str, around: TextContext) -> list[str]:
        """What is shown of each character."""
        before, after = around.line_before, around.line_after
        chars, end = list(text), len(text.rstrip())
        start = end - len(text[:end].lstrip())
        within = self.in_line or bool(before.strip() and after.strip())
        if within:
            start_of_next = text.find("\n", start, end)
            end = len(text[:start_of_next].rstrip()) if start_of_next >= 0 else end
            if (
                after
                and after[0] in _STOPS
                and text[start:end][-1:] in _STOPS
                and text[start:end][-2:] != ".."
            ):
                end -= 1
        chars[:start], chars[end:] = [""] * start, [""] * (len(text) - end)
        if start >= end:
            return chars
        separator = self.separator or self.lead(around) or None
        for found in _BREAK.finditer(text, start, end):
            first, last = found.span()
            breaks = found[0].count("\n")
            if separator is not None and len(FENCE.findall(text, start, first)) % 2 == 0:
                above, below = text[start:first].rpartition("\n")[2], text[last:end]
                breaks = _paragraph_breaks(breaks, above, below, separator)
            chars[first:last] = ["\n" * breaks] + [""] * (last - first - 1)
        if before and self._continues_line(around):
            chars[start] = self._seam(before, text[:start], text[start:end], within) + chars[start]
        if within and after and _needs_space(text[:end], after):
            chars[end - 1] += " "
        return chars

    def _seam(self, before: str, space: str, text: str, within: bool) -> str:
        """What stands between a line and the draft that continues it; space: what the model has put there."""
        if "\n" in space and not within:
            return self.separator or "\n" * space.count("\n")
        space = space.replace("\n", " ")
        if _needs_space(before, text):
            return space[-1:] or " "
        wanted = space and not (before[-1].isspace() or _opens(before) or _is_spaceless(before, text))
        return space[-1] if wanted else ""


def _paragraph_breaks(written: int, above: str, below: str, separator: str) -> int:
    """Line breaks between two of a draft's lines: one, where they are no paragraphs of their own."""
    of_one_block = bool(ROW.match(above) and ROW.match(below))
    return 1 if written == 1 and (of_one_block or not _ends_paragraph(above)) else len(separator)


def _line_breaks(text: str, side: int) -> int:
    """Line breaks between the place and the nearest text; as many as could be wanted where there is none.
    side: -1 before the place, 1 after it.
    """
    bare = text.rstrip() if side < 0 else text.lstrip()
    return (text[len(bare) :] if side < 0 else text[: len(text) - len(bare)]).count("\n") if bare else 2


def is_right_to_left(text: str) -> bool:
    """By its first letter."""
    return not text.isascii() and next(_directions(text), "L") != "L"


def _directions(text: Iterable[str]) -> Iterator[str]:
    return (direction for char in text if (direction := bidirectional(char)) in ("L", "R", "AL"))


def _ends_against(line: str) -> bool:
    """Its last letter reads the other way than the line: what continues it would move the words before."""
    return not line.isascii() and (next(_directions(reversed(line)), "L") != "L") != is_right_to_left(line)


def _ends_paragraph(line: str) -> bool:
    """What comes next begins a line of its own."""
    if _HEADING.match(line) or _SCENE_BREAK.fullmatch(line) or (line[:1] == line[-1:] == "|" and line[1:]):
        return not line[-1].isspace()
    return ends_sentence(line)


def ends_sentence(line: str) -> bool:
    end = len(line)
    while end and (
        category(line[end - 1]) in ("Pe", "Pf", "Pi", "Mn", "Me", "Cf", "So", "Sk")
        or line[end - 1] in _QUOTES
        or (line[end - 1].isspace() and end < len(line))
    ):
        end -= 1
    if not end or line[-1].isspace() or _BARE_MARKER.fullmatch(line):
        return False
    if _is_wide(line[0]) and (category(line[0]), category(line[-1])) == ("Ps", "Pe"):
        return True  # 「…」: what is said, whole
    stop = normalize("NFKC", line[end - 1])[-1]
    return (stop in ".:;" or _is_boundary(SENTENCE, f"A{stop}", " A")) and not _ABBREVIATION.search(line)


SENTENCE, _WORD = QTextBoundaryFinder.BoundaryType.Sentence, QTextBoundaryFinder.BoundaryType.Word


@lru_cache(maxsize=256)
def _is_boundary(kind: QTextBoundaryFinder.BoundaryType, left: str, right: str) -> bool:
    """By Unicode's rules; a sentence's boundary is behind the space."""
    finder = QTextBoundaryFinder(kind, left + right)
    finder.setPosition(utf16_length(left) + (kind is SENTENCE))
    return finder.isAtBoundary()


def rest_of_word(text: str, place: int) -> int:
    """How far the end of the word is that the place is in the middle of; in UTF-16 units, as the place."""
    finder = QTextBoundaryFinder(_WORD, text)
    finder.setPosition(place)
    in_word = bool(text) and not finder.isAtBoundary()
    return finder.toNextBoundary() - place if in_word else 0


def _needs_space(left: str, right: str) -> bool:
    """Whether words would be glued."""
    left_char, right_char = left[-1:], right[:1]
    if not left_char or not right_char or left_char.isspace() or right_char.isspace():
        return False
    if _BARE_MARKER.fullmatch(left):
        return True
    if _is_spaceless(left, right) or re.fullmatch(r"\d[.,:]\d", left[-2:] + right_char) or _opens(left):
        return False
    if category(left_char) == "Pd":
        return left[-2:-1].isspace()
    if right_char in _QUOTES or category(right_char) in ("Pi", "Pf"):
        return right[1:2].isalnum()
    return right_char.isalnum() or category(right_char) in ("Ps", "Sc", "So") or right_char in "¿¡"


def _opens(text: str) -> bool:
    """Its last character opens what comes next: a bracket; a quotation mark or `$` with nothing before it."""
    last = text[-1]
    if last in _QUOTES or category(last) in ("Pi", "Pf", "Sc"):
        return text[-2:-1].isspace() or len(text) == 1 or category(text[-2]) in ("Ps", "Pd", "Pi")
    return category(last) == "Ps" or last in "¿¡/\\@#"


def _is_spaceless(left: str, right: str) -> bool:
    """One of the two sides is written without spaces between words, as Chinese, Japanese and Thai are."""
    letter = next((char for char in reversed(left) if category(char)[0] not in "MC"), "")
    return any(
        _is_wide(char) if category(char)[0] == "P" else char.isalpha() and _is_boundary(_WORD, char, "A")
        for char in (letter, right[0])
        if char
    )


def _is_wide(char: str) -> bool:
    return east_asian_width(char) in "WF"
