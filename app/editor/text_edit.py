"""A plain-text editor: nothing but text goes in or out, and typing is undone word by word."""

from __future__ import annotations

import re
import sys

from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QContextMenuEvent,
    QDropEvent,
    QInputMethodEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QTextCursor,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QMenu, QPlainTextEdit, QWidget

from app.documents.text import document_text, insertable, text_between, utf16_length
from app.widgets.latin_keys import latin_key

_TYPING = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.KeypadModifier,
)
_MOUSE_EVENTS = {
    QEvent.Type.MouseButtonPress: "mousePressEvent",
    QEvent.Type.MouseMove: "mouseMoveEvent",
    QEvent.Type.MouseButtonRelease: "mouseReleaseEvent",
    QEvent.Type.MouseButtonDblClick: "mouseDoubleClickEvent",
}
_KEY = QKeySequence.StandardKey
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_COMMANDING = () if sys.platform == "darwin" else (Qt.KeyboardModifier.AltModifier,)
"""On a Mac, Alt writes characters."""
_DELETING = (_KEY.Delete, _KEY.Backspace, _KEY.DeleteEndOfLine, _KEY.DeleteCompleteLine)
_UNBROKEN = 5000
_RUN = re.compile(rf"[!-\u0dff]{{{_UNBROKEN},}}")
"""What Qt finds no place to break a line in; other scripts have them between their letters."""


class TextEdit(QPlainTextEdit):
    files_dropped = Signal(list)
    """Paths of files that were dropped on the text, or pasted."""
    copying = Signal(QMimeData)
    """What is selected goes into this."""
    pasting = Signal(QMimeData, str)
    """And as which text it is about to come in place of what is selected."""
    taking_out = Signal()
    """What is selected is about to go, before something else comes."""
    typed = Signal()
    """A key was pressed that is no shortcut, or an input method has something to show."""
    wraps_within_words = Signal(int)
    """The text has a line of so many characters without a space."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        for part in (self, self.viewport()):
            part.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # Tab writes here: it must not lead here unseen
        self.document().contentsChange.connect(self._set_wrapping)

    def text(self) -> str:
        return document_text(self.document())

    def setTextCursor(self, cursor: QTextCursor) -> None:
        """What is typed moves the caret, also where the cursor marks a place that it does not move: Qt would
        write each letter over the one before.
        """
        caret = QTextCursor(cursor)
        caret.setKeepPositionOnInsert(False)
        super().setTextCursor(caret)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What can be done, of the widget's actions, for the place that was clicked or for the caret."""
        if event.reason() is QContextMenuEvent.Reason.Mouse:
            clicked, caret = self.cursorForPosition(event.pos()), self.textCursor()
            if not caret.selectionStart() <= clicked.position() <= caret.selectionEnd():
                self.setTextCursor(clicked)
            self.show_menu(event.globalPos())
        else:
            self.show_menu(self.viewport().mapToGlobal(self.cursorRect().bottomLeft()))

    def show_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions([action for action in self.actions() if action.isEnabled()])
        menu.popup(place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if latin_key(event) is not None:
            event.ignore()  # the window knows what it is for
            return
        if event.text():
            self._show_pointer(False)
            self.typed.emit()
        is_letter = Qt.Key.Key_A <= event.key() <= Qt.Key.Key_Z
        if is_letter and any(event.matches(key) for key in _DELETING):
            event.ignore()  # Emacs's keys, such as Ctrl+K, which nobody was told of
        elif event.text() and event.text().isprintable() and event.modifiers() & ~_SHIFT in _COMMANDING:
            event.ignore()  # no shortcut here; Qt would write its letter over what is selected
        elif event.matches(_KEY.InsertLineSeparator):
            self.textCursor().insertText("\n")  # a plain text has one kind of line break
            self.ensureCursorVisible()
        else:
            self._type(event)

    def _type(self, event: QKeyEvent) -> None:
        """Each word is undone on its own, with the space before it: Qt does not merge an edit block with what
        was typed before. Qt's own handler would look for the caret in lines that such a block has not yet.
        """
        cursor = self.textCursor()
        place = cursor.selectionStart()
        behind_word = place > 0 and not self.document().characterAt(place - 1).isspace()
        if behind_word and event.text().isspace() and event.modifiers() in _TYPING:
            cursor.beginEditBlock()
            cursor.insertText(event.text().replace("\r", "\n"))
            cursor.endEditBlock()
            self.setTextCursor(cursor)
            self.ensureCursorVisible()
        else:
            super().keyPressEvent(event)

    def redo(self) -> None:
        """Qt leaves the caret behind the last of a step's insertions; it belongs behind all of them, save the
        space that was put in to set them off from what follows.
        """
        document, ends = self.document(), []

        def note(position: int, _removed: int, added: int) -> None:
            ends.append(position + added)

        document.contentsChange.connect(note)
        super().redo()
        document.contentsChange.disconnect(note)
        if ends:
            cursor, end = self.textCursor(), min(ends[-1], document.characterCount() - 1)
            behind = text_between(document, cursor.position(), end)
            cursor.setPosition(end - utf16_length(behind[len(behind.rstrip()) :] if behind.strip() else ""))
            self.setTextCursor(cursor)

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        cursor = self.textCursor()
        shown = cursor.block().layout().preeditAreaText()
        if event.commitString() or event.preeditString() != shown or event.replacementLength():
            self.taking_out.emit()
        super().inputMethodEvent(event)
        if event.preeditString() or event.commitString():
            self._show_pointer(False)
            self.typed.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._show_pointer(True)
        super().mouseMoveEvent(event)

    def _show_pointer(self, shown: bool) -> None:
        """It is in the way of reading what is typed."""
        self.setCursor(Qt.CursorShape.ArrowCursor if shown else Qt.CursorShape.BlankCursor)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor if shown else Qt.CursorShape.BlankCursor)

    def createMimeDataFromSelection(self) -> QMimeData:
        """The text as it stands. Qt would make spaces of no-break spaces, and add formats, which take a
        while.
        """
        cursor = self.textCursor()
        data = self.mime_data(text_between(self.document(), cursor.selectionStart(), cursor.selectionEnd()))
        self.copying.emit(data)
        return data

    def mime_data(self, text: str) -> QMimeData:
        """In Qt's own object, made of a letter: the clipboard outlives Python."""
        letter = QPlainTextEdit("x")
        letter.selectAll()
        data = letter.createMimeDataFromSelection()
        for name in data.formats():
            data.data(name)  # Qt fills it in when it is first asked, over what it holds
            data.removeFormat(name)
        data.setText(text)
        return data

    def insertFromMimeData(self, source: QMimeData) -> None:
        if files := [url.toLocalFile() for url in source.urls() if url.isLocalFile()]:
            self.files_dropped.emit(files)
        elif source.hasText():
            text = insertable(source.text())
            self.pasting.emit(source, text)
            self.insertPlainText(text)
            self.ensureCursorVisible()

    def dropEvent(self, event: QDropEvent) -> None:
        """What is dragged within the text is taken out before it is put in."""
        if event.source() == self.viewport() and event.dropAction() is Qt.DropAction.MoveAction:
            self.taking_out.emit()
        super().dropEvent(event)

    def event(self, event: QEvent) -> bool:
        """The margins beside the viewport belong to the text: the wheel scrolls, the mouse selects."""
        if isinstance(event, QWheelEvent):
            self.wheelEvent(event)
            return True
        if isinstance(event, QMouseEvent) and (handler := _MOUSE_EVENTS.get(event.type())):
            inside = self.viewport().mapFrom(self, event.position().toPoint())
            getattr(self, handler)(_moved(event, inside))
            return True
        return super().event(event)

    def _set_wrapping(self, position: int, _removed: int, added: int) -> None:
        """Qt takes seconds for a key where it looks for a word's end in vain."""
        document = self.document()
        places = range(position, position + added, _UNBROKEN) if added > _UNBROKEN else ()
        blocks = {block.position(): block for block in map(document.findBlock, places)}.values()
        texts = (block.text() for block in blocks if block.length() > _UNBROKEN)
        longest = max((len(run[0]) for text in texts for run in _RUN.finditer(text)), default=0)
        if longest:
            self.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
            self.wraps_within_words.emit(longest)
        elif added >= document.characterCount() - 1:  # all of the text
            self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)

    def announce(self, text: str) -> None:
        """Tell a screen reader."""
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, text))


def _moved(event: QMouseEvent, place: QPoint) -> QMouseEvent:
    return QMouseEvent(
        event.type(),
        QPointF(place),
        event.globalPosition(),
        event.button(),
        event.buttons(),
        event.modifiers(),
    )
