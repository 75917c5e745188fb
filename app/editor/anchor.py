"""The anchor of a draft: a place in the text that follows edits and their undoing."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QTextCursor


class Anchor(QObject):
    """A cursor that follows the edits around it, and their undoing.

    Text that is deleted around a cursor takes it along; Qt brings the text back before it, as it would insert
    any other.
    """

    def __init__(self, cursor: QTextCursor) -> None:
        super().__init__()
        self.cursor = QTextCursor(cursor)
        self._document = cursor.document()
        self._position = cursor.position()
        self._steps = self._document.availableUndoSteps()
        self._swept: list[tuple[int, int]] = []
        """Deletions that took it along: how many steps could be undone then, and where it had been."""
        self._document.contentsChange.connect(self._on_contents_change)

    def _on_contents_change(self, position: int, removed: int, added: int) -> None:
        steps, before = self._document.availableUndoSteps(), None
        while self._swept and self._swept[-1][0] > steps:
            before = self._swept.pop()[1]
        if before is not None:
            self.cursor.setPosition(before)
        elif (
            position <= self._position < position + removed + self.cursor.keepPositionOnInsert()
            and removed
            and (removed != added or steps > self._steps)  # an input method's text is no edit
            and steps >= self._steps  # what an undo takes away no undo brings back
        ):
            self._swept.append((steps, self._position))
        self._position, self._steps = self.cursor.position(), steps
