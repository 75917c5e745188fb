"""Where a draft goes in a document."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QTextCursor, QTextDocument, QTextLine

from app.documents.text import text_between, utf16_length
from app.editor.anchor import Anchor
from app.editor.join import JoinMode, TextContext, rest_of_word

CONTEXT_CHARACTERS = 400_000
"""The most text on either side of the caret that a draft can look at: more than any context holds."""
NEAR_CHARACTERS = 1000
_MARKDOWN = (".md", ".markdown")


def text_context(document: QTextDocument, position: int, reach: int = CONTEXT_CHARACTERS) -> TextContext:
    """The text around a UTF-16 position, as far as a context may reach."""
    end = document.characterCount() - 1
    path = document.metaInformation(QTextDocument.MetaInformation.DocumentUrl)
    return TextContext(
        text_between(document, max(0, position - reach), position),
        text_between(document, position, min(end, position + reach)),
        path.lower().endswith(_MARKDOWN),
    )


def end_of_word(cursor: QTextCursor) -> QTextCursor:
    """Behind the word that the cursor is in the middle of, else the same place."""
    moved, place = QTextCursor(cursor), cursor.position()
    moved.setPosition(place)
    if not cursor.document().characterAt(place).isspace():
        moved.setPosition(place + rest_of_word(cursor.block().text(), cursor.positionInBlock()))
    return moved


class Placement:
    """A place that follows the writer's edits, and how a draft joins the text there."""

    def __init__(self, cursor: QTextCursor) -> None:
        self._anchor = Anchor(cursor)
        self._document = cursor.document()
        self._join = text_context(self._document, cursor.position()).join
        self._around = TextContext("", "")
        self._around_at: tuple[int, ...] = ()
        """The state of the text that it was read in."""

    @property
    def cursor(self) -> QTextCursor:
        """Where the draft stands."""
        return self._anchor.cursor

    @property
    def mode(self) -> JoinMode:
        return self._join.mode(self._near())

    @property
    def separator(self) -> str:
        """The line breaks between the text before the draft and the draft."""
        return self._join.lead(self._near())

    def context(self) -> TextContext:
        """The text before the draft, as the draft finds it, and the text after it."""
        around = text_context(self._document, self.cursor.position())
        return TextContext(around.before + self.separator, around.after)

    @property
    def indent(self) -> str:
        """The white space that a paragraph put in before another one begins with."""
        near = self._near()
        return near.line_before if self._join.mode(near) is JoinMode.BEFORE else ""

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
        return "".join(self.shown_pieces([text]))

    def shown_pieces(self, pieces: Sequence[str]) -> list[str]:
        return self._join.shown(pieces, self._near())

    def apply(self, text: str) -> QTextCursor:
        """Put the text in, as one edit block and so one undo → a cursor behind it."""
        near = self._near()
        insertion = self._join.lead(near) + text
        cursor = QTextCursor(self.cursor)
        start = cursor.position()
        cursor.beginEditBlock()
        # As two commands: Qt merges what is typed next into a lone one.
        cursor.insertText(insertion[-1:] + self._join.tail(near))
        cursor.setPosition(start)
        cursor.insertText(insertion[:-1])
        cursor.endEditBlock()
        cursor.setPosition(start + utf16_length(insertion))
        return cursor

    def _near(self) -> TextContext:
        now = self._document.revision(), self._document.characterCount(), self.cursor.position()
        if now != self._around_at:
            self._around = text_context(self._document, self.cursor.position(), NEAR_CHARACTERS)
            self._around_at = now
        return self._around
