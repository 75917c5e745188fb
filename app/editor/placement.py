"""Where a draft goes and what surrounds it there: pure text rules, no widgets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_SENTENCE_END = re.compile(r"[.!?…:;][\"'”’»)\]*_]*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)


class Place(Enum):
    """How a draft joins the text before it."""

    INLINE = "inline"
    NEW_PARAGRAPH = "new paragraph"
    WITHIN = "within"
    """In the middle of a paragraph: shown below it, put in at the caret."""


@dataclass(frozen=True)
class Surroundings:
    """The text on both sides of the place where a draft goes, as plain text with `\\n` between paragraphs."""

    before: str
    after: str

    @property
    def line_before(self) -> str:
        return self.before.rpartition("\n")[2]

    @property
    def line_after(self) -> str:
        return self.after.partition("\n")[0]

    @property
    def in_code(self) -> bool:
        """Whether the place lies inside a fenced block that was opened and not closed."""
        return len(_FENCE.findall(self.before)) % 2 == 1

    @property
    def place(self) -> Place:
        if self.line_after.strip():
            return Place.WITHIN
        if not self.in_code and _SENTENCE_END.search(self.line_before):
            return Place.NEW_PARAGRAPH
        return Place.INLINE

    @property
    def separator(self) -> str:
        """What the document itself puts between paragraphs: one line break, or a blank line."""
        joined = f"{self.before}{self.after}"
        return "\n\n" if re.search(r"\S[ \t]*\n[ \t]*\n[ \t]*\S", joined) else "\n"

    @property
    def prompt_before(self) -> str:
        """The text before the draft as the draft will find it."""
        return self.before + (self.separator if self.place is Place.NEW_PARAGRAPH else "")

    def shown(self, text: str) -> str:
        """The draft as it is shown and kept: without the white space its place has already."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if self.in_code:
            return text.rstrip()
        text = text.rstrip()
        if self.place is Place.NEW_PARAGRAPH or not self.line_before:
            return text.lstrip()
        if self.line_before[-1].isspace():
            text = text.lstrip(" \t")
        if self.place is Place.WITHIN and text and not self.line_after[0].isspace():
            text += " " if self.line_after[0].isalnum() else ""
        return text

    def insertion(self, shown: str) -> str:
        """What keep puts in at the place."""
        return (self.separator if self.place is Place.NEW_PARAGRAPH else "") + shown
