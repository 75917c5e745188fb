"""Follow the edits of a document: who wrote which part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextBlock, QTextDocument

from app.documents.text import utf16_length
from app.provenance.matching import followed, put_between
from app.provenance.paragraphs import PLAIN, Paragraph, Run, clipped, joined, paragraphs, split


class _Change(NamedTuple):
    first: int
    old: tuple[Paragraph, ...]
    new: tuple[Paragraph, ...]
    steps: int = 0
    """That could be undone when it was made."""


class Provenance(QObject):
    """Knows the paragraphs by the numbers of their blocks.

    Qt tells of an edit as one stretch of text, however much in it stays. Who puts text in that is not the
    writer's tells of it before; all other edits are followed by the text that they leave. What is undone or
    redone is as it was.
    """

    changed = Signal()
    """It is another text."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._document = document
        self._paragraphs: list[Paragraph] = []
        """None while all of the text has been the writer's since it came."""
        self._told: list[_Change] = []
        """Edits of which Qt has not told yet."""
        self._done: list[_Change] = []
        self._undone: list[_Change] = []
        """What was undone last is the last."""
        self._find: Callable[[list[str]], list[Paragraph]] | None = None
        self._steps = document.availableUndoSteps()
        self._is_new_step = False
        document.undoCommandAdded.connect(self._on_command_added)
        document.contentsChange.connect(self._on_contents_change)

    def of(self, number: int) -> Paragraph:
        """The paragraph in the block of that number."""
        return self._paragraphs[number] if number < len(self._paragraphs) else PLAIN

    def paragraphs(self) -> list[Paragraph]:
        """All of them, as they are now; none where all has always been the writer's."""
        return list(self._paragraphs)

    def texts(self) -> list[str]:
        """Of all paragraphs."""
        found = self._document.toRawText().split("\u2029")
        found[0] = _text(self._document.firstBlock())
        return found

    def take(self, paragraphs: list[Paragraph]) -> None:
        """What is known of a text that has just come."""
        self.reset()
        if any(each.runs for each in paragraphs):
            self._paragraphs = paragraphs
        self.changed.emit()

    def expect(self, find: Callable[[list[str]], list[Paragraph]] | None) -> None:
        """The next edit leaves another text, of which that tells what is known. None: it has not come."""
        self._find = find
        if find:
            self._begin()

    def _begin(self) -> None:
        self._paragraphs = self._paragraphs or [PLAIN] * self._document.blockCount()

    def runs_between(self, start: int, end: int) -> list[Run]:
        """Of the text between two positions, counted from its beginning."""
        found: list[Run] = []
        block = self._document.findBlock(start)
        while block.isValid() and block.position() <= end:
            at = block.position()
            found += clipped(self.of(block.blockNumber()).runs, start - at, end - at, at - start)
            block = block.next()
        return found

    # ---------------------------------------------------------------- edits

    def replace(self, start: int, end: int, text: str, runs: Sequence[Run] = ()) -> None:
        """The text between two positions is about to be another one. runs: whose that is."""
        if (start == end and not text) or not (self._paragraphs or runs):
            return
        self._begin()
        first, last = self._document.findBlock(start), self._document.findBlock(end)
        before, behind = start - first.position(), end - last.position()
        old = self._paragraphs[first.blockNumber() : last.blockNumber() + 1]
        if not runs and not any(each.runs for each in old):
            new = [PLAIN] * (1 + text.count("\n"))
        else:
            head = split(_text(first), before)[0], clipped(old[0].runs, 0, before)
            tail = split(_text(last), behind)[1], clipped(old[-1].runs, behind, last.length(), -behind)
            new = paragraphs(*joined([head, (text, runs), tail]))
        change = _Change(first.blockNumber(), tuple(old), tuple(new))
        self._put(change)
        self._told.append(change)

    def _put(self, change: _Change) -> None:
        self._paragraphs[change.first : change.first + len(change.old)] = change.new

    def _note(self, change: _Change) -> None:
        """For its undoing. What is typed on makes no step of its own."""
        if len(change.old) == len(change.new) and not any(each.runs for each in (*change.old, *change.new)):
            return
        change = change._replace(steps=self._steps)
        last = self._done[-1] if self._done else None
        goes_on = last and (last.steps, last.first) == (change.steps, change.first)
        if last and goes_on and len(last.new) == 1 == len(change.old):
            self._done[-1] = last._replace(new=change.new)
        else:
            self._done.append(change)

    def _on_command_added(self) -> None:
        self._is_new_step = True

    def _on_contents_change(self, position: int, removed: int, added: int) -> None:
        if not self._document.isUndoRedoEnabled():
            self.reset()
            return
        former, self._steps = self._steps, self._document.availableUndoSteps()
        is_new, self._is_new_step = self._is_new_step, False
        is_undo, is_redo = self._steps < former, self._steps > former and not is_new
        told, self._told = self._told, []
        if not self._paragraphs:
            return
        if self._find:
            change = _Change(0, tuple(self._paragraphs), tuple(self._find(self.texts())))
            self._find = None
            self._put(change)
            told = [change]
        elif is_undo:
            self._undo()
        elif is_redo:
            self._redo()
        if not self._document.isRedoAvailable():
            self._undone.clear()
        for change in told:
            self._note(change)
        if not self._stands(position, added):
            change = self._followed(position, removed, added)
            self._put(change)
            if not (is_undo or is_redo):  # those of a step from before something was drafted: as they are
                self._note(change)

    def reset(self) -> None:
        """It is another text, all of it the writer's."""
        self._paragraphs, self._find = [], None
        self._steps = self._document.availableUndoSteps()
        for changes in (self._told, self._done, self._undone):
            changes.clear()

    def _undo(self) -> None:
        while self._done and self._done[-1].steps > self._steps:
            change = self._done.pop()
            self._put(change._replace(old=change.new, new=change.old))
            self._undone.append(change)

    def _redo(self) -> None:
        while self._undone and self._undone[-1].steps <= self._steps:
            change = self._undone.pop()
            self._put(change)
            self._done.append(change)

    def _touched(self, position: int, added: int) -> tuple[QTextBlock, QTextBlock]:
        """The first block of a change, and the last one."""
        end = min(position + added, self._document.characterCount() - 1)
        return self._document.findBlock(position), self._document.findBlock(end)

    def _stands(self, position: int, added: int) -> bool:
        """Whether what is known holds for the text that has changed."""
        if len(self._paragraphs) != self._document.blockCount():
            return False
        first, last = (block.blockNumber() for block in self._touched(position, added))
        return all(
            each is PLAIN or each.text == _text(self._document.findBlockByNumber(number))
            for number, each in enumerate(self._paragraphs[first : last + 1], first)
        )

    def _followed(self, position: int, removed: int, added: int) -> _Change:
        first, last = self._touched(position, added)
        number, count = first.blockNumber(), last.blockNumber() - first.blockNumber() + 1
        grown = self._document.blockCount() - len(self._paragraphs)
        old = self._paragraphs[number : number + count - grown]
        new = [PLAIN] * count
        if any(each.runs for each in old):
            blocks = map(self._document.findBlockByNumber, range(number, number + count))
            texts = [_text(block) for block in blocks]
            if removed and added:
                new = followed(old, texts)
            else:
                behind = max(0, last.position() + last.length() - 1 - position - added)
                new = put_between(old, texts, position - first.position(), behind)
        return _Change(number, tuple(old), tuple(new))


def _text(block: QTextBlock) -> str:
    """As long as the block: PySide drops what it takes for a byte order at a string's beginning."""
    text = block.text()
    return "\ufeff" * (block.length() - 1 - utf16_length(text)) + text
