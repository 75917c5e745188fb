"""Where a draft goes in a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from PySide6.QtGui import QTextCursor, QTextDocument, QTextLine

from app.documents.text import LINE_END, cursor_over, insertable, text_between, utf16_length
from app.editor.anchor import Anchor
from app.editor.extent import within
from app.editor.join import Join, JoinMode, TextContext, rest_of_word
from engine.protocol.requests import Extent

CONTEXT_CHARACTERS = 400_000
"""The most text on either side of the caret that a draft can look at: more than any context holds."""
CONTEXT_LINES = 20_000
"""And the most lines: an empty one takes as long to read as a hundred characters."""
NEAR_CHARACTERS = 1000
_MARKDOWN = (".md", ".markdown")


def text_context(document: QTextDocument, position: int, reach: int = CONTEXT_CHARACTERS) -> TextContext:
    """The text around a UTF-16 position, as far as a context may reach. It begins at the same place while a
    long text grows, so that what the engine has read of it still stands.
    """
    start, line = max(0, position - reach), document.findBlock(position).blockNumber()
    first = max(0, line - CONTEXT_LINES)
    begins = document.findBlockByNumber(first - first % (CONTEXT_LINES // 4)).position()
    behind = document.findBlockByNumber(line + CONTEXT_LINES)
    end = behind.position() if behind.isValid() else document.characterCount() - 1
    path = document.metaInformation(QTextDocument.MetaInformation.DocumentUrl)
    return TextContext(
        text_between(document, max(begins, start - start % (reach // 4)), position),
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


def draft_source(cursor: QTextCursor) -> tuple[str, QTextCursor]:
    """What is selected, which a draft is given in place of all the text → and where the draft goes."""
    at, selection = QTextCursor(cursor), ""
    if cursor.hasSelection():
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        selection = text_between(cursor.document(), start, end).rstrip("\n")
        at.setPosition(start + utf16_length(selection))
    return selection, end_of_word(at)


class Placement:
    """A place that follows the writer's edits, and how a draft joins the text there."""

    replaced = ""
    """The text that the draft comes in the place of."""
    passage = ""
    """What of it the draft is to say otherwise."""
    is_intact = True
    """Whether that text stands there as it was."""
    extent: Extent = "paragraphs"
    """The most that is shown and kept of the model's text."""

    def __init__(self, cursor: QTextCursor, join: Join | None = None) -> None:
        """join: of a draft that was begun before."""
        self._anchor = Anchor(cursor)
        self._document = cursor.document()
        self._join = join or self._read(CONTEXT_CHARACTERS).join
        self._context = TextContext("", "")
        self._context_at: tuple[int, ...] = ()
        """The state of the text that it was read in."""

    @property
    def cursor(self) -> QTextCursor:
        """Where the draft stands."""
        return self._anchor.cursor

    @property
    def bounds(self) -> tuple[int, int]:
        """UTF-16 positions of what the draft replaces."""
        return self.cursor.position(), self.cursor.position()

    def again(self) -> Placement:
        """Such a place where this one is now."""
        again = Placement(self._range(), self._join)
        again.extent = self.extent
        return again

    def behind(self, cursor: QTextCursor, between: str) -> Placement:
        """For what is left of a draft, a part of which was kept. cursor: behind that part; between: the white
        space between the two.
        """
        breaks = "\n" * between.count("\n")
        join = replace(self._join, begins_anew=bool(breaks), separator=breaks or self._join.separator)
        rest = Placement(cursor, join)
        rest.extent = self.extent
        return rest

    @property
    def mode(self) -> JoinMode:
        return self._join.mode(self._near())

    @property
    def in_code(self) -> bool:
        """Whether it is in a fenced block."""
        return self._join.in_code

    @property
    def separator(self) -> str:
        """The line breaks between the text before the draft and the draft."""
        return self._join.lead(self._near())

    @property
    def tail(self) -> str:
        """What is put in behind the draft."""
        return self._join.tail(self._near())

    def context(self, reach: int = CONTEXT_CHARACTERS) -> TextContext:
        """The text before the draft, as the draft finds it, and the text after it."""
        around = self._read(reach)
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

    def part(self, text: str) -> str:
        """A part of what is shown, as it is put in without the rest."""
        return self._join.part(text, self._near())

    def shown_pieces(self, pieces: Sequence[str], sure: int | None = None) -> list[str]:
        """sure: so many pieces at the beginning hardly change any more, if not all."""
        if not self._join.in_code:
            pieces = within(self.extent, pieces, len(pieces) if sure is None else sure)
        return self._join.shown(pieces, self._near())

    def apply(self, text: str) -> QTextCursor:
        """Put the text in, as one edit block and so one undo → a cursor behind it."""
        insertion, tail, (start, end) = self.separator + text, self.tail, self.bounds
        # A new one: from one that keeps its position when text comes, the last line would come first.
        cursor = cursor_over(self._document, start)
        cursor.beginEditBlock()
        # As two commands: Qt merges what is typed next into a lone one, or the last of several.
        cursor.insertText(insertion[-1:] + tail)
        cursor.setPosition(start)
        cursor.insertText(insertion[:-1])
        behind = start + utf16_length(insertion)
        cursor.setPosition(behind + utf16_length(tail))
        cursor.setPosition(cursor.position() + end - start, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        cursor.endEditBlock()
        cursor.setPosition(behind)
        return cursor

    def _range(self) -> QTextCursor:
        """Selects what the draft replaces."""
        return QTextCursor(self.cursor)

    def _read(self, reach: int) -> TextContext:
        return text_context(self._document, self.cursor.position(), reach)

    def _near(self) -> TextContext:
        now = self._document.revision(), self._document.characterCount(), *self.bounds
        if now != self._context_at:
            self._context, self._context_at = self._read(NEAR_CHARACTERS), now
        return self._context


class ReplacingPlacement(Placement):
    """In place of some text. The draft stands below it; the text stays until the draft is kept."""

    mode = JoinMode.WITHIN

    def __init__(self, replaced: QTextCursor) -> None:
        """replaced: selects it. What is typed at its edges stays outside."""
        document, start, end = replaced.document(), replaced.selectionStart(), replaced.selectionEnd()
        self._start = Anchor(cursor_over(document, start))
        self.replaced = text_between(document, start, end)
        super().__init__(cursor_over(document, end))
        self.cursor.setKeepPositionOnInsert(True)
        beside = self._near()
        self._join = replace(self._join, in_line=bool((beside.line_before + beside.line_after).strip()))

    @property
    def bounds(self) -> tuple[int, int]:
        return self._start.cursor.position(), self.cursor.position()

    @property
    def is_intact(self) -> bool:  # type: ignore[override]
        return text_between(self._document, *self.bounds) == self.replaced

    def again(self) -> Placement:
        return type(self)(self._range())

    def lead(self, line: QTextLine) -> str:  # noqa: ARG002
        return ""

    def _range(self) -> QTextCursor:
        return cursor_over(self._document, *self.bounds)

    def _read(self, reach: int) -> TextContext:
        start, end = self.bounds
        before = text_context(self._document, start, reach)
        return TextContext(before.before, text_context(self._document, end, reach).after, before.is_markdown)


class PassagePlacement(ReplacingPlacement):
    """In place of a passage, which the draft says otherwise: whatever stands around it stays as it is."""

    separator = tail = ""

    def __init__(self, passage: QTextCursor) -> None:
        super().__init__(passage)
        self.passage = self.replaced

    def shown_pieces(self, pieces: Sequence[str], sure: int | None = None) -> list[str]:  # noqa: ARG002
        """Without white space at the ends, and in one line where the passage is."""
        pieces = [LINE_END.sub("\n", insertable(piece)) for piece in pieces]
        if "\n" not in self.passage:
            pieces = [piece.replace("\n", " ") for piece in pieces]
        text = "".join(pieces)
        first, last = len(text) - len(text.lstrip()), len(text.rstrip())
        ends = list(accumulate(map(len, pieces), initial=0))
        return [text[max(start, first) : min(end, last)] for start, end in pairwise(ends)]
