"""The word count of a document and of what is selected in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QPlainTextEdit

from app.documents.text import text_between
from app.documents.words import count_words, word_beginnings
from app.provenance.paragraphs import Paragraph
from app.widgets.timers import timer

PAUSE_MS = 400
SLICE_S = 0.015
"""A long text is counted in slices, so that no key waits for it."""


class WordCount(QObject):
    """Counts anew when the text and the selection have rested for a while. Paragraphs keep their counts, as
    their blocks' user state.
    """

    counted = Signal(int, int, Counter)
    """All words, those that are selected, and how many have which owner that is not the writer."""

    def __init__(
        self, page: QPlainTextEdit, paragraphs: Callable[[], Sequence[Paragraph]], parent: QObject
    ) -> None:
        """paragraphs: by the numbers of their blocks; none where all of the text is the writer's."""
        super().__init__(parent)
        self._paragraphs = paragraphs
        self._page = page
        self._document = page.document()
        self._rest: Iterator[None] = iter(())
        """What is still to be counted."""
        self._touched: QTextCursor | None = None
        """From its position to its anchor the text may have changed since it was counted."""
        self._pause = timer(self, self.count, PAUSE_MS, single_shot=True)
        self._slices = timer(self, self._count_on, 0, single_shot=True)
        self._document.contentsChange.connect(self._on_contents_change)
        page.selectionChanged.connect(self._wait)

    def count(self) -> None:
        self._pause.stop()
        if not self._document.isEmpty():
            word_beginnings()  # which takes longer than a slice may
        self._rest = self._count()
        self._count_on()

    def _wait(self) -> None:
        self._slices.stop()
        self._pause.start()

    def _on_contents_change(self, position: int, _removed: int, added: int) -> None:
        """Only noted: it may be a long text that was put in."""
        first, last = position, min(position + added, self._document.characterCount() - 1)
        if self._touched is None:
            self._touched = QTextCursor(self._document)
        else:
            first, last = min(first, self._touched.position()), max(last, self._touched.anchor())
        self._touched.setPosition(last)
        self._touched.setPosition(first, QTextCursor.MoveMode.KeepAnchor)
        self._wait()

    def _count_on(self) -> None:
        end = monotonic() + SLICE_S
        for _ in self._rest:
            if monotonic() > end:
                self._slices.start()
                break

    def _count(self) -> Iterator[None]:
        """A step a paragraph."""
        cursor, touched = self._page.textCursor(), self._touched
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        words = selected = number = 0
        owners, paragraphs = Counter[str](), self._paragraphs()
        block = self._document.firstBlock()
        while block.isValid():
            first, last = block.position(), block.position() + block.length() - 1
            is_touched = touched is not None and touched.position() <= last and first <= touched.anchor()
            if is_touched or block.userState() < 0:
                block.setUserState(count_words(block.text()))
            if touched and is_touched:
                touched.setPosition(min(last + 1, touched.anchor()), QTextCursor.MoveMode.KeepAnchor)
            words += block.userState()
            if number < len(paragraphs) and (of_block := paragraphs[number].words):
                owners += of_block
            number += 1
            if start <= first and last <= end:
                selected += block.userState()
            elif start < last and first < end:
                selected += count_words(text_between(self._document, max(start, first), min(end, last)))
            block = block.next()
            yield
        self._touched = None
        self.counted.emit(words, selected, owners)
