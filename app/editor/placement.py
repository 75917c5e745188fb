"""Where a draft goes in a document."""

from __future__ import annotations

from PySide6.QtGui import QTextCursor, QTextDocument, QTextLine

from app.documents.text import text_between, utf16_length
from app.editor.anchor import Anchor
from app.editor.join import JoinMode, TextContext

CONTEXT_CHARACTERS = 400_000
"""The most text on either side of the caret that a draft can look at: more than any context holds."""
NEAR_CHARACTERS = 1000


def text_context(document: QTextDocument, position: int) -> TextContext:
    """The text around a UTF-16 position, as far as a context may reach."""
    end = document.characterCount() - 1
    return TextContext(
        text_between(document, max(0, position - CONTEXT_CHARACTERS), position),
        text_between(document, position, min(end, position + CONTEXT_CHARACTERS)),
    )


class Placement:
    """A place that follows the writer's edits, and how a draft joins the text there."""

    def __init__(self, cursor: QTextCursor) -> None:
        self._anchor = Anchor(cursor)
        self._document = cursor.document()
        self._join = text_context(self._document, cursor.position()).join

    @property
    def cursor(self) -> QTextCursor:
        """Where the draft stands."""
        return self._anchor.cursor

    @property
    def mode(self) -> JoinMode:
        return self._join.mode(*self._line())

    @property
    def opens_line(self) -> bool:
        """Whether white space at the draft's beginning comes off."""
        new = self.mode is JoinMode.NEW_PARAGRAPH or not self._line()[0].strip()
        return new and not self._join.in_code

    @property
    def separator(self) -> str:
        """What stands between the text before the draft and the draft."""
        return self._join.insertion("", *self._line())

    def context(self) -> TextContext:
        """The text before the draft, as the draft finds it, and the text after it."""
        around = text_context(self._document, self.cursor.position())
        return TextContext(around.before + self.separator, around.after)

    def lead(self, line: QTextLine) -> str:
        """What stands before the draft on that line, an input method's unfinished text included."""
        block, start = self.cursor.block(), line.textStart()
        unfinished = block.layout().preeditAreaText()
        if not unfinished:
            return text_between(self._document, block.position() + start, self.cursor.position())
        text = text_between(self._document, block.position(), self.cursor.position()) + unfinished
        return text.encode("utf-16-le", "surrogatepass")[2 * start :].decode("utf-16-le", "surrogatepass")

    def shown(self, text: str) -> str:
        """The model's text as it is shown and kept here."""
        return self._join.shown(text, *self._line())

    def apply(self, text: str) -> QTextCursor:
        """Put the text in, as one edit block and so one undo → a cursor behind it."""
        insertion = self._join.insertion(text, *self._line())
        cursor = QTextCursor(self.cursor)
        start = cursor.position()
        cursor.beginEditBlock()
        cursor.insertText(insertion[-1:])  # as two commands: Qt merges what is typed next into a lone one
        cursor.setPosition(start)
        cursor.insertText(insertion[:-1])
        cursor.endEditBlock()
        cursor.setPosition(start + utf16_length(insertion))
        return cursor

    def _line(self) -> tuple[str, str]:
        """The anchor's paragraph before and after it, as far as it matters for how the draft joins it."""
        block, place = self.cursor.block(), self.cursor.position()
        start, end = block.position(), block.position() + block.length() - 1
        before = text_between(self._document, max(start, place - NEAR_CHARACTERS), place)
        return before, text_between(self._document, place, min(end, place + NEAR_CHARACTERS))
