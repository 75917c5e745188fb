"""A name for a file to be, from its text."""

from __future__ import annotations

import re
import textwrap
import unicodedata

from app.editor.join import TextContext

NAME_CHARACTERS = 48
UNTITLED = "Untitled"
_MARKS = re.compile(r"^\s*(?:(?:#{1,6}|[-*+•>]|\d+[.)])\s+)*")
_REFUSED = re.compile(r'[<>:"/\\|?*`\s]+')
"""By some file system; and what Markdown marks words with."""
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""For Windows, with any suffix."""


def proposed_name(text: str) -> str:
    """The first words, as every file system takes them, with the suffix of this kind of text."""
    line = next((line for line in text.splitlines() if _words_of(line)), "")
    words = _words_of(line)
    name = textwrap.shorten(words, NAME_CHARACTERS, placeholder="") or words[:NAME_CHARACTERS]
    name = name.strip(" .,;:–—-_")
    return (UNTITLED if not name or _RESERVED.fullmatch(name) else name) + suffix_of(text)


def _words_of(line: str) -> str:
    text = unicodedata.normalize("NFC", _MARKS.sub("", line[: 10 * NAME_CHARACTERS]))
    shown = "".join(char if unicodedata.category(char)[0] != "C" or char == "\t" else "" for char in text)
    return _REFUSED.sub(" ", shown).strip(" .,;:–—-_")


def suffix_of(text: str) -> str:
    """Plain text where each line is a paragraph, which Markdown would make one of."""
    return ".txt" if TextContext(text, "").join.separator == "\n" else ".md"
