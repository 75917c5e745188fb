"""The page: one centred column of plain text, with room for a draft."""

from __future__ import annotations

from math import ceil
from time import monotonic

from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, QRect, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFont,
    QFontMetricsF,
    QInputMethodEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlock,
    QTextCursor,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QWidget

from app.documents.text import document_text, insertable
from app.editor.draft_layout import utf16_length
from app.editor.draft_overlay import PLACEHOLDER, DraftOverlay
from app.editor.gap_layout import PARAGRAPH_SPACE_RATIO, GapLayout
from app.editor.placement import TextContext
from app.widgets.theme import LIGHT, Theme

_COLUMN = "A column of prose some eighty characters wide, which is as wide as eyes like."
CONTEXT_CHARACTERS = 400_000
"""The most text on either side of the caret that a draft can look at: more than any context holds."""
SETTLED_KEY_DELAY_S = 0.3
"""Enter and Tab keep a draft only this long after it settled: keys already on their way are the writer's."""
_TYPING = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.KeypadModifier,
)
_KEEP_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Tab)
_MOUSE_EVENTS = {
    QEvent.Type.MouseButtonPress: "mousePressEvent",
    QEvent.Type.MouseMove: "mouseMoveEvent",
    QEvent.Type.MouseButtonRelease: "mouseReleaseEvent",
    QEvent.Type.MouseButtonDblClick: "mouseDoubleClickEvent",
}


class Page(QPlainTextEdit):
    """keep_asked, discard_asked: Enter, Tab or Esc at a draft's anchor, where they belong to the draft."""

    keep_asked = Signal()
    discard_asked = Signal()
    geometry_changed = Signal()

    def __init__(self, font: QFont, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme: Theme = LIGHT
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Page")
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setPlaceholderText(PLACEHOLDER)
        self.line_height = 1.0
        self.page_layout = GapLayout(self.document(), 1.0)
        self.document().setDocumentLayout(self.page_layout)
        self.page_layout.documentSizeChanged.connect(self._on_document_size)
        self.setCursorWidth(2)  # the document's layout keeps it
        self.draft = DraftOverlay(self)
        self._changed_at = 0.0
        self.set_prose_font(font)
        self.document().contentsChange.connect(self._on_contents_change)
        self.document().contentsChanged.connect(self._on_contents_changed)
        self.updateRequest.connect(self.geometry_changed)
        self.verticalScrollBar().rangeChanged.connect(self._on_scroll_range)
        self.draft.changed.connect(self.geometry_changed)

    # ---------------------------------------------------------------- look

    @property
    def paragraph_space(self) -> int:
        """Space after a paragraph, px."""
        return round(PARAGRAPH_SPACE_RATIO * self.line_height)

    def set_prose_font(self, font: QFont) -> None:
        self.setFont(font)
        self.document().setDefaultFont(font)
        metrics = QFontMetricsF(font)
        # As QTextLine rounds it.
        self.line_height = self.page_layout.line_height = ceil(metrics.ascent() + metrics.descent())
        self.setTabStopDistance(4 * metrics.horizontalAdvance(" "))
        self._set_column()
        # Qt sets how far can be scrolled before all lines are laid out anew.
        self.page_layout.documentSizeChanged.emit(self.page_layout.documentSize())
        self.draft.relayout()

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.viewport().update()

    def _set_column(self) -> None:
        """Centre the column by the viewport's margins."""
        column = QFontMetricsF(self.font()).horizontalAdvance(_COLUMN) + 2 * self.document().documentMargin()
        side = max(24, int((self.width() - column) / 2))
        bar = self.verticalScrollBar().sizeHint().width()
        self.setViewportMargins(side, 20, max(8, side - bar), 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The line in hand stays in view: a message may have come below it."""
        caret_was_in_view = QRect(QPoint(), event.oldSize()).contains(self.cursorRect())
        super().resizeEvent(event)
        self.page_layout.view_height = self.viewport().height()
        self.draft.relayout()
        if caret_was_in_view:
            self.ensureCursorVisible()

    # ---------------------------------------------------------------- text

    def text(self) -> str:
        return document_text(self.document())

    def text_context(self, position: int) -> TextContext:
        """The text around a UTF-16 position, as far as a context may reach."""
        end = self.document().characterCount() - 1
        return TextContext(
            self.text_between(max(0, position - CONTEXT_CHARACTERS), position),
            self.text_between(position, min(end, position + CONTEXT_CHARACTERS)),
        )

    def text_between(self, start: int, end: int) -> str:
        """The text between two UTF-16 positions, `\\n` between paragraphs."""
        cursor = QTextCursor(self.document())
        cursor.setPosition(start)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        return cursor.selectedText().replace("\u2029", "\n")

    def keep_draft(self) -> None:
        """Put the settled draft in at its anchor: one edit block, so one undo. The caret goes behind it."""
        anchor = self.draft.anchor
        if self.draft.settled_text is None or anchor is None:
            return
        insertion = self.draft.insertion()
        caret_was_there = self.textCursor().position() == anchor.position()
        cursor = QTextCursor(anchor)
        self.draft.clear()
        start = cursor.position()
        cursor.beginEditBlock()
        cursor.insertText(insertion[-1:])  # as two commands: Qt merges what is typed next into a lone one
        cursor.setPosition(start)
        cursor.insertText(insertion[:-1])
        cursor.endEditBlock()
        cursor.setPosition(start + utf16_length(insertion))
        if caret_was_there:
            self.setTextCursor(cursor)

    def _on_contents_change(self, position: int, _removed: int, added: int) -> None:
        """A line that is blank now, or no longer, has another height, which Qt does not expect."""
        if self.document().findBlock(position).length() - 1 in (0, added):
            self.viewport().update()

    def _on_contents_changed(self) -> None:
        self._changed_at = monotonic()
        if self.draft.anchor is not None:
            QTimer.singleShot(0, self, self._after_edit_beside_draft)

    def _after_edit_beside_draft(self) -> None:
        """The layout has seen the change; its gap may stand elsewhere now."""
        self.draft.relayout()
        self.ensureCursorVisible()
        self.geometry_changed.emit()

    # ---------------------------------------------------------------- geometry

    def block_top(self, block: QTextBlock) -> float:
        """Viewport y of the block's top."""
        return self.blockBoundingGeometry(block).translated(self.contentOffset()).top()

    def sync_gap_scroll(self) -> bool:
        """Tell the layout how many of the gap's lines are off the top; whether any are."""
        layout, above = self.page_layout, 0
        if layout.anchor is not None:
            block = layout.anchor.block()
            line = self.verticalScrollBar().value() - block.firstLineNumber() - block.layout().lineCount()
            above = line if 0 < line < layout.gap_lines() else 0
        changed = above != layout.gap_lines_above
        layout.gap_lines_above = above
        return changed or above > 0

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        if self.sync_gap_scroll():
            # The lines move by other distances than Qt would shift the pixels by: paint all of it.
            self.viewport().setUpdatesEnabled(False)
            super().scrollContentsBy(dx, dy)
            self.viewport().setUpdatesEnabled(True)
        else:
            super().scrollContentsBy(dx, dy)
        self.geometry_changed.emit()

    def _on_scroll_range(self, _first: int, last: int) -> None:
        """A bar with nothing to scroll is not drawn; its room stays, so that no line wraps anew."""
        self.verticalScrollBar().setEnabled(last > 0)

    def _on_document_size(self) -> None:
        """Qt has set how far can be scrolled, without the gap."""
        layout, scroll = self.page_layout, self.verticalScrollBar()
        if layout.gap_lines():
            layout.gap_lines_above = 0
            rows = layout.rows_at_end()
            scroll.setMaximum(self.document().lineCount() - rows)
            scroll.setPageStep(rows)
            self.sync_gap_scroll()

    def go_to_draft(self) -> None:
        """Put the caret where the draft stands."""
        if self.draft.anchor is not None:
            self.setTextCursor(QTextCursor(self.draft.anchor))
            self.show_gap()
            self.setFocus()

    def show_gap(self) -> None:
        """Scroll as little as will do, so that the draft's gap can be seen; the anchor's line stays."""
        scroll, anchor = self.verticalScrollBar(), self.draft.anchor
        if anchor is None:
            return
        block = anchor.block()
        self.page_layout.blockBoundingRect(block)  # lays it out
        inside = block.layout().lineForTextPosition(anchor.positionInBlock()).lineNumber()
        line, rows = block.firstLineNumber() + inside, int(self.viewport().height() / self.line_height)
        if not scroll.value() <= line < scroll.value() + rows:
            scroll.setValue(max(0, line - rows // 3))
        while (top := self.draft.bar_top()) is not None:
            room = self.cursorRect(anchor).top() > self.line_height
            if top + 48 <= self.viewport().height() or not room or scroll.value() == scroll.maximum():
                return
            scroll.setValue(scroll.value() + 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.draft.anchor is not None:
            painter = QPainter(self.viewport())
            painter.setClipRect(event.rect())
            self.draft.paint(painter, event.rect().toRectF())
            painter.end()

    # ---------------------------------------------------------------- input

    def at_draft(self) -> bool:
        """Whether the caret is at the draft's anchor."""
        anchor, cursor = self.draft.anchor, self.textCursor()
        return anchor is not None and not cursor.hasSelection() and cursor.position() == anchor.position()

    def watches_draft(self) -> bool:
        """Whether the caret is at the draft's anchor, and in view."""
        return self.at_draft() and self.viewport().rect().contains(self.cursorRect())

    def shows_draft(self) -> bool:
        """Whether the writer, who waits at it, sees the draft or where it is."""
        return self.watches_draft() or self.draft.is_in_view()

    def _draft_takes_keys(self) -> bool:
        """Whether Enter, Tab and Esc are a settled draft's: in view, settled a while ago, nothing typed."""
        draft = self.draft
        if draft.settled_text is None or not self.at_draft():
            return False
        rested = monotonic() - draft.settled_at >= SETTLED_KEY_DELAY_S
        return self.shows_draft() and rested and self._changed_at < draft.settled_at

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        key = event.key()
        developing = self.at_draft() and self.draft.settled_text is None
        if plain and key == Qt.Key.Key_Escape and (developing or self._draft_takes_keys()):
            self.discard_asked.emit()
        elif plain and key in _KEEP_KEYS and self._draft_takes_keys():
            self.keep_asked.emit()
        elif event.matches(QKeySequence.StandardKey.InsertLineSeparator):
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

    def createMimeDataFromSelection(self) -> QMimeData:
        """The text as it stands, in Qt's own object, made of a letter: the clipboard outlives Python.

        Qt would make spaces of no-break spaces, and add formats, which take a while.
        """
        cursor, letter = self.textCursor(), QPlainTextEdit("x")
        letter.selectAll()
        data = letter.createMimeDataFromSelection()
        for name in data.formats():
            data.data(name)  # Qt fills it in when it is first asked, over what it holds
            data.removeFormat(name)
        data.setText(self.text_between(cursor.selectionStart(), cursor.selectionEnd()))
        return data

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        super().inputMethodEvent(event)
        self.draft.relayout()  # unfinished text is no change of the document

    def insertFromMimeData(self, source: QMimeData) -> None:
        if source.hasText():
            self.insertPlainText(insertable(source.text()))
            self.ensureCursorVisible()

    def event(self, event: QEvent) -> bool:
        """The margins beside the column belong to the page: the wheel scrolls, the mouse selects."""
        if event.type() == QEvent.Type.Resize:
            self._set_column()
            handled = super().event(event)
            self.geometry_changed.emit()  # the column may have moved without getting another size
            return handled
        if isinstance(event, QWheelEvent):
            self.wheelEvent(event)
            return True
        if isinstance(event, QMouseEvent) and (handler := _MOUSE_EVENTS.get(event.type())):
            inside = self.viewport().mapFrom(self, event.position().toPoint())
            getattr(self, handler)(_moved(event, inside))
            return True
        return super().event(event)

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
