"""How a draft joins the text around it: pure text rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from unicodedata import bidirectional

from app.documents.text import LINE_END, insertable

_SENTENCE_END = re.compile(r"[.!?…:;][\"'”’»)\]*_]*$")
_BLANK_LINE = re.compile(r"\S[ \t]*\n[ \t]*\n[ \t]*\S")
_NEAR_CHARACTERS = 10_000
_OPENS_WORD = re.compile(r"\w|[“‘„«(\[{]|[\"']\w")
_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)


class JoinMode(Enum):
    """How a draft joins the text before it."""

    INLINE = "inline"
    NEW_PARAGRAPH = "new paragraph"
    WITHIN = "within"
    """Shown below the paragraph, put in at the caret: within it, or where it reads from the right."""


@dataclass(frozen=True)
class Join:
    """How a draft was joined to the text when it was begun; what is edited since is looked at anew."""

    begun: JoinMode
    separator: str
    """What the document itself puts between paragraphs: one line break, or a blank line."""
    in_code: bool

    def mode(self, line_before: str, line_after: str) -> JoinMode:
        """Where it stands now. line_before, line_after: the anchor's paragraph on both sides of it."""
        if line_after.strip():
            return JoinMode.WITHIN
        if self.begun is JoinMode.NEW_PARAGRAPH and line_before.strip():
            return JoinMode.NEW_PARAGRAPH
        return JoinMode.WITHIN if _is_right_to_left(line_before) else JoinMode.INLINE

    def shown(self, text: str, line_before: str, line_after: str) -> str:
        """The draft as it is shown and kept: without the white space its place has already."""
        text = LINE_END.sub("\n", insertable(text)).rstrip()
        if self.in_code:
            return text
        mode = self.mode(line_before, line_after)
        if mode is JoinMode.NEW_PARAGRAPH or not line_before:
            text = text.lstrip()
        elif line_before[-1].isspace():
            text = text.lstrip(" \t")
        if mode is JoinMode.WITHIN and text and _OPENS_WORD.match(line_after):
            text += " "
        return text

    def insertion(self, shown: str, line_before: str, line_after: str) -> str:
        """What keep puts in at the anchor."""
        new = self.mode(line_before, line_after) is JoinMode.NEW_PARAGRAPH
        return (self.separator if new else "") + shown


def _is_right_to_left(line: str) -> bool:
    """By its first letter."""
    directions = map(bidirectional, line)
    return next((direction != "L" for direction in directions if direction in ("L", "R", "AL")), False)


@dataclass(frozen=True)
class TextContext:
    """The text on both sides of the place where a draft goes, as plain text with `\n` between paragraphs."""

    before: str
    after: str

    @cached_property
    def join(self) -> Join:
        line_before, line_after = self.before.rpartition("\n")[2], self.after.partition("\n")[0]
        in_code = len(_FENCE.findall(self.before)) % 2 == 1
        if line_after.strip():
            mode = JoinMode.WITHIN
        elif not in_code and _SENTENCE_END.search(line_before):
            mode = JoinMode.NEW_PARAGRAPH
        else:
            mode = JoinMode.INLINE
        near = self.before[-_NEAR_CHARACTERS:] + self.after[:_NEAR_CHARACTERS]
        return Join(mode, "\n\n" if _BLANK_LINE.search(near) else "\n", in_code)
