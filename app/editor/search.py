"""Search in a document: a query, its matches, and what replaces them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from time import monotonic

from PySide6.QtCore import QObject, QRegularExpression, QRegularExpressionMatch, Signal
from PySide6.QtGui import QTextCursor, QTextDocument

from app.documents.text import LINE_END, insertable
from app.widgets.timers import timer

SLICE_S = 0.008
_PAUSE_MS = 250
TOO_SLOW = "This pattern takes too long."
_REFERENCE = re.compile(r"\\([\\$nt\d])|\$(\d)")
_SIGNS = {"n": "\n", "t": "\t", "\\": "\\", "$": "$"}
_BYTE_ORDERS = ("\ufeff", "\ufffe")
Span = tuple[int, int]
"""Where a match begins and ends, in UTF-16 units."""
_OPTION = QRegularExpression.PatternOption


@dataclass(frozen=True)
class Query:
    text: str = ""
    match_case: bool = False
    whole_words: bool = False
    is_pattern: bool = False
    """The text is a regular expression, and a replacement may name its groups."""

    def expression(self) -> QRegularExpression:
        """A space that was typed finds no-break spaces too."""
        pattern = self.text
        if not self.is_pattern:
            escaped = QRegularExpression.escape(LINE_END.sub("\n", pattern))
            pattern = escaped.replace("\\ ", "[ \u00a0\u202f]")
        if self.whole_words:
            pattern = rf"(?<![\w\p{{M}}])(?:{pattern})(?![\w\p{{M}}])"
        options = _OPTION.UseUnicodePropertiesOption | _OPTION.MultilineOption
        if not self.match_case:
            options |= _OPTION.CaseInsensitiveOption
        return QRegularExpression(pattern, options)

    def replacement(self, match: QRegularExpressionMatch, text: str) -> str:
        r"""text: with `\1` or `$1` for a pattern's group, and `\n` for a line's end."""
        if not self.is_pattern:
            return text
        return _REFERENCE.sub(
            lambda found: _SIGNS.get(found[1]) or match.captured(int(found[1] or found[2])), text
        )


class Search(QObject):
    """The matches of a query. They are found in slices, and anew when typing pauses: no key waits for them.

    A match of nothing is none.
    """

    changed = Signal()
    """More matches are known, or other ones."""

    def __init__(self, document: QTextDocument, parent: QObject) -> None:
        super().__init__(parent)
        self._document = document
        self._query = Query()
        self._scope: QTextCursor | None = None
        self._expression = QRegularExpression()
        self._left: Iterator[QRegularExpressionMatch] = iter(())
        self._text = ""
        """The document's, until it changes."""
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.is_complete = True
        self.is_stale = False
        """The text has changed since."""
        self.fault = ""
        self.follows_edits = False
        """Whether the matches are found anew when typing pauses."""
        self._slices = timer(self, self._find_some, 0, single_shot=True)
        self._pause = timer(self, self._begin, _PAUSE_MS, single_shot=True)
        document.contentsChange.connect(self._on_contents_change)

    def begin(self, query: Query, scope: QTextCursor | None) -> None:
        """scope: only in what it selects, wherever edits move that."""
        self._query, self._scope = query, scope
        self._expression = query.expression()
        self._begin()

    def next_from(self, position: int) -> Span | None:
        """The first match from there on, else from the beginning."""
        match = next(self._matches(position), None) or next(self._matches(), None)
        return (match.capturedStart(), match.capturedEnd()) if match else None

    def last_before(self, position: int) -> Span | None:
        """The last match that ends there or before, else the very last."""
        if self.is_stale:
            self._begin()
        self._find(inf)
        if not self.starts:
            return None
        index = (bisect_right(self.ends, position) - 1) % len(self.ends)
        return self.starts[index], self.ends[index]

    def index_of(self, start: int, end: int) -> int | None:
        index = bisect_left(self.starts, start)
        found = index < len(self.starts) and (self.starts[index], self.ends[index]) == (start, end)
        return index if found and not self.is_stale else None

    def within(self, first: int, last: int) -> Iterator[Span]:
        """Where the matches between two positions stand."""
        begin, end = bisect_right(self.ends, first), bisect_left(self.starts, last)
        return zip(self.starts[begin:end], self.ends[begin:end], strict=True)

    def replace(self, span: Span, text: str) -> bool:
        """Whether that was a match."""
        match = next(self._matches(span[0]), None)
        if match is None or (match.capturedStart(), match.capturedEnd()) != span:
            return False
        cursor = QTextCursor(self._document)
        cursor.beginEditBlock()
        _put_in(cursor, *self._replaced(match, text))
        cursor.endEditBlock()
        self._begin()
        return True

    def replace_all(self, text: str) -> Replacement:
        """It is over at once where there are few."""
        found = (self._replaced(match, text) for match in self._matches())
        replacement = Replacement(self._document, found, lambda: not self.fault)
        replacement.ended.connect(self._begin)
        replacement.go_on()
        return replacement

    def _replaced(self, match: QRegularExpressionMatch, text: str) -> tuple[int, int, str]:
        put_in = insertable(self._query.replacement(match, text))
        return match.capturedStart(), match.capturedEnd(), put_in

    # ---------------------------------------------------------------- how they are found

    def _matches(self, position: int = 0) -> Iterator[QRegularExpressionMatch]:
        """Those that begin at the position or behind it."""
        if not self._query.text or not self._expression.isValid():
            return
        first, last = position, self._document.characterCount() - 1
        if self._scope:
            first, last = max(first, self._scope.selectionStart()), self._scope.selectionEnd()
        if first > last:
            return
        found = self._expression.globalMatch(self._text_now(), first)
        while found.hasNext():
            match = found.next()
            if match.capturedStart() < match.capturedEnd() <= last:
                yield match
            elif match.capturedStart() >= last:
                return
        if not found.isValid():
            self.fault = TOO_SLOW

    def _text_now(self) -> str:
        if not self._text:
            text = self._document.toRawText().replace("\u2029", "\n")
            if text.startswith(_BYTE_ORDERS):  # PySide would take it for one; the other sign is as invisible
                text = "\u2060" + text[1:]
            self._text = text
        return self._text

    def _begin(self) -> None:
        self.starts.clear()
        self.ends.clear()
        self._pause.stop()
        self.is_stale = False
        valid = self._expression.isValid()
        self.fault = "" if valid else f"Not a pattern: {self._expression.errorString()}."
        self._left = self._matches()
        self.is_complete = False
        self._slices.start()

    def _find_some(self) -> None:
        self._find(monotonic() + SLICE_S)

    def _find(self, until_s: float) -> None:
        if self.is_complete:
            return
        for match in self._left:
            self.starts.append(match.capturedStart())
            self.ends.append(match.capturedEnd())
            if monotonic() > until_s:
                self._slices.start()
                break
        else:
            self.is_complete = True
            self._slices.stop()
        self.changed.emit()

    def _on_contents_change(self) -> None:
        if self.follows_edits:
            self._pause.start()
        self._slices.stop()
        self.is_stale = True
        self._text = ""


class Replacement(QObject):
    """Replaces matches from the last to the first, as one undo step, in slices: no key waits for it. Whatever
    else changes the text ends it; what has been replaced by then stays.
    """

    went_on = Signal()
    ended = Signal()

    def __init__(
        self, document: QTextDocument, found: Iterator[tuple[int, int, str]], is_all: Callable[[], bool]
    ) -> None:
        """is_all: whether what was found is all that there is; else nothing is replaced."""
        super().__init__()
        self.count = 0
        """How many are replaced."""
        self.is_over = self.is_complete = False
        self._document = document
        self._found = found
        self._is_all = is_all
        self._left: list[tuple[int, int, str]] = []
        self._is_acting = False
        self._slices = timer(self, self.go_on, 0, single_shot=True)
        document.contentsChange.connect(self._on_contents_change)

    def cancel(self) -> None:
        """As if it had not begun."""
        if not self.is_over:
            self._end()
            if self.count:
                self._document.undo()
                self.count = 0

    def go_on(self) -> None:
        until_s = monotonic() + SLICE_S
        self._slices.start()
        for place in self._found:
            self._left.append(place)
            if monotonic() > until_s:
                return
        if not self._is_all():
            self._end()
            return
        if self._left:
            self._replace(until_s)
        if not self._left:
            self.is_complete = True
            self._end()
        self.went_on.emit()

    def _replace(self, until_s: float) -> None:
        """Some, one at least."""
        cursor = QTextCursor(self._document)
        if self.count:
            cursor.joinPreviousEditBlock()
        else:
            cursor.beginEditBlock()
        while self._left:
            _put_in(cursor, *self._left.pop())
            self.count += 1
            if monotonic() > until_s:
                break
        self._is_acting = True
        cursor.endEditBlock()
        self._is_acting = False

    def _on_contents_change(self) -> None:
        if not self._is_acting:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self._slices.stop()
        self._document.contentsChange.disconnect(self._on_contents_change)
        self.ended.emit()


def _put_in(cursor: QTextCursor, start: int, end: int, text: str) -> None:
    cursor.setPosition(end)
    cursor.insertText(text)  # before the old text goes: cursors at either end of it stay there
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    cursor.removeSelectedText()
