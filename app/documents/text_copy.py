"""A copy of a document's text, read piece by piece between events, and anew only where it has changed."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from time import monotonic

from PySide6.QtGui import QTextDocument

from app.documents.text import line_ends, text_between, utf16_length, with_line_ends

PIECE_UNITS = 2**14
"""UTF-16 units that are read at once: a few milliseconds, should each of them be a line."""


class TextCopy:
    def __init__(self, document: QTextDocument) -> None:
        self._document = document
        self._pieces = self._unread(0, self._units())
        """How many UTF-16 units each has, and its text, or None where that is to be read."""
        document.documentLayout()  # without one Qt does not tell of changes
        document.contentsChange.connect(self._on_contents_change)

    def read(self, until_s: float = inf) -> bool:
        """Go on reading, a piece at least → whether the copy is complete. until_s: by monotonic()."""
        start, has_read = 0, False
        for index, (units, text) in enumerate(self._pieces):
            if text is None:
                if has_read and monotonic() > until_s:
                    return False
                self._pieces[index] = units, text_between(self._document, start, start + units)
                has_read = True
            start += units
        return True

    def pieces(self) -> Iterator[str]:
        """The text that belongs into the file, if it was read; to be joined in any thread, at any time."""
        texts = [text for _, text in self._pieces if text is not None]
        return with_line_ends(texts, *line_ends(self._document))

    def close(self) -> None:
        """It is of no use any more, and holds no text."""
        self._document.contentsChange.disconnect(self._on_contents_change)
        self._pieces.clear()

    def _units(self) -> int:
        return self._document.characterCount() - 1

    def _unread(self, start: int, end: int) -> list[tuple[int, str | None]]:
        """Pieces for what is between two places; no surrogate pair is parted."""
        pieces: list[tuple[int, str | None]] = []
        while start < end:
            stop = min(start + PIECE_UNITS, end)
            pair = text_between(self._document, stop - 1, stop + 1) if stop < end else ""
            stop += utf16_length(pair) - len(pair)
            pieces.append((stop - start, None))
            start = stop
        return pieces

    def _on_contents_change(self, position: int, _removed: int, added: int) -> None:
        """The pieces that lie wholly before the change or behind it hold as they are. Those that touch it do
        not: it may have parted a surrogate pair, or joined one.
        """
        end = self._units()
        start, first, last = 0, 0, len(self._pieces)
        while first < last and (reached := start + self._pieces[first][0]) < position:
            start, first = reached, first + 1
        while first < last and (reached := end - self._pieces[last - 1][0]) > position + added:
            end, last = reached, last - 1
        self._pieces[first:last] = self._unread(start, end)
