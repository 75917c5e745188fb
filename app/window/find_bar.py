"""The find bar: find and replace in the page."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QTextEdit,
    QToolButton,
)

from app.documents.text import cursor_over, text_between
from app.editor.page import Page
from app.editor.search import Query, Search, Span
from app.widgets.labels import quiet_label, tool_button
from app.widgets.panel import go_round

WIDTH_PX = 720
_MOST_MARKS = 1000


class FindBar(QFrame):
    """Marks the matches that are in view. It searches the document: a draft beside it is never touched."""

    closed = Signal()

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.setMaximumWidth(WIDTH_PX)
        self.hide()
        self.setObjectName("notice")
        self.setAccessibleName("Find and replace")
        self._page = page
        self._begun_at = page.textCursor()
        """What the writer had selected, and where the search begins."""
        self._scope: QTextCursor | None = None
        self._replaced: int | None = None
        """How many Replace all has replaced just now."""
        self._marked: object = None
        """What the marks in the page were made for."""
        self.search = Search(page.document(), self)
        self.text, self.replacement = QLineEdit(), QLineEdit()
        self.count, self.problem = quiet_label("Matches"), quiet_label("Problem")
        self.match_case = _option("Match &case", self._on_query)
        self.whole_words = _option("Whole &words", self._on_query)
        self.is_pattern = _option("&Pattern", self._on_query)
        self.is_pattern.setToolTip(
            "A regular expression; in the replacement, \\1 is what its first group found"
        )
        self.in_selection = _option("In &selection", self._on_scope)
        self.replace_one = _button("&Replace", self.replace)
        self.replace_rest = _button("Replace &all", self.replace_all)
        self._build()
        self.text.textChanged.connect(self._on_query)
        self.search.changed.connect(self._on_found)
        page.selectionChanged.connect(self._on_selection)
        page.geometry_changed.connect(self._mark)

    def _build(self) -> None:
        for field, name in ((self.text, "Find"), (self.replacement, "Replace with")):
            field.setAccessibleName(name)
            field.setPlaceholderText(name)
            field.setMinimumWidth(120)
        find, options = QHBoxLayout(), QHBoxLayout()
        find.addWidget(self.text, 1)
        find.addSpacing(6)
        find.addWidget(self.count)
        find.addWidget(tool_button("‹", "Find previous (Shift+F3)", self.find_previous))
        find.addWidget(tool_button("›", "Find next (F3)", self.find_next))
        close = tool_button("×", "Close (Esc)", self.leave)
        close.setProperty("bare", True)
        find.addWidget(close)
        options.setSpacing(16)
        for box in (self.match_case, self.whole_words, self.is_pattern, self.in_selection):
            options.addWidget(box)
        options.addStretch(1)
        self.replacing = QFrame()
        replace = QHBoxLayout(self.replacing)
        replace.setContentsMargins(0, 0, 0, 0)
        replace.addWidget(self.replacement, 1)
        replace.addWidget(self.replace_one)
        replace.addWidget(self.replace_rest)
        rows = QGridLayout(self)
        rows.setContentsMargins(14, 10, 10, 10)
        rows.setVerticalSpacing(8)
        rows.addLayout(find, 0, 0)
        rows.addWidget(self.replacing, 1, 0)
        rows.addLayout(options, 2, 0)
        rows.addWidget(self.problem, 3, 0)
        self.problem.setWordWrap(True)
        self.problem.hide()

    # ---------------------------------------------------------------- what the writer does

    def open(self, *, replacing: bool = False) -> None:
        """With what is selected: looked for if it is in one line, else where is looked."""
        cursor, document = self._page.textCursor(), self._page.document()
        self.replacing.setVisible(replacing)
        if not self.isAncestorOf(QApplication.focusWidget() or self._page):
            self._begun_at = cursor
            selected = text_between(document, cursor.selectionStart(), cursor.selectionEnd())
            self.in_selection.setEnabled(cursor.hasSelection())
            self.in_selection.setChecked("\n" in selected)
            if selected and "\n" not in selected:
                self.text.setText(selected)
        self.search.follows_edits = True
        self.show()
        self.text.setFocus()
        self.text.selectAll()
        self._begin()

    def find_next(self) -> None:
        self._go_to(self.search.next_from(self._page.textCursor().selectionEnd()))

    def find_previous(self) -> None:
        self._go_to(self.search.last_before(self._page.textCursor().selectionStart()))

    def replace(self) -> None:
        """The match that is selected; then on to the next one."""
        cursor = self._page.textCursor()
        self.search.replace((cursor.selectionStart(), cursor.selectionEnd()), self.replacement.text())
        self.find_next()

    def replace_all(self) -> None:
        self._replaced = self.search.replace_all(self.replacement.text())
        self._show_count()

    def leave(self) -> None:
        """Close the bar, and give the keys back."""
        self.hide()
        self.search.follows_edits = False
        self._page.setExtraSelections([])
        self._marked = None
        self.closed.emit()

    def focusNextPrevChild(self, forward: bool) -> bool:
        return go_round(self, forward)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """What the fields have no use for."""
        if event.key() == Qt.Key.Key_Escape:
            self.leave()
        elif event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
        elif isinstance(button := self.focusWidget(), QToolButton):
            button.click()
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.find_previous()
        elif self.replacement.hasFocus():
            self.replace()
        else:
            self.find_next()

    # ---------------------------------------------------------------- what is found

    def _begin(self) -> None:
        query = Query(
            self.text.text(),
            self.match_case.isChecked(),
            self.whole_words.isChecked(),
            self.is_pattern.isChecked(),
        )
        self._replaced = None
        self.search.begin(query, self._scope)

    def _on_query(self) -> None:
        """Another one: shown from where the search began, so that each letter narrows it."""
        self._begin()
        if self.isVisible():
            self._go_to(self.search.next_from(self._begun_at.selectionStart()))

    def _on_scope(self) -> None:
        self._scope = QTextCursor(self._begun_at) if self.in_selection.isChecked() else None
        self._on_query()

    def _on_selection(self) -> None:
        if self._page.hasFocus() and self.isVisible():
            self._replaced = None
            self._begun_at = self._page.textCursor()
            self.in_selection.setEnabled(self._begun_at.hasSelection() or self.in_selection.isChecked())
        self._show_count()

    def _go_to(self, span: Span | None) -> None:
        if span is None:
            return
        cursor = cursor_over(self._page.document(), *span)
        self._page.setTextCursor(cursor)
        self._page.scroll_to_line_of(cursor)

    def _on_found(self) -> None:
        self.problem.setText(self.search.fault)
        self.problem.setVisible(bool(self.search.fault))
        self._show_count()
        self._mark()

    def _show_count(self) -> None:
        search, cursor = self.search, self._page.textCursor()
        count, more = len(search.starts), "" if search.is_complete else "…"
        index = search.index_of(cursor.selectionStart(), cursor.selectionEnd())
        if self._replaced is not None:
            text = f"{self._replaced:,} replaced"
        elif index is not None:
            text = f"{index + 1:,} of {count:,}{more}"
        elif count or more:
            text = f"{count:,}{more} match" + ("" if count == 1 else "es")
        else:
            text = "No match" if self.text.text() and not search.fault else ""
        self.count.setText(text)

    def _mark(self) -> None:
        """Those in view, unless the text has changed: then Qt moves the marks until it is searched anew."""
        page, search = self._page, self.search
        if self.isHidden() or search.is_stale:
            return
        corner = page.viewport().rect().bottomRight()
        first = page.cursorForPosition(QPoint(0, 0)).block().position()
        last = page.cursorForPosition(corner).position()
        places = list(search.within(first, last))[:_MOST_MARKS]
        made_for = places, page.theme, self._scope
        if made_for == self._marked:
            return
        self._marked = made_for
        colour = QColor(page.theme.selection)
        colour.setAlphaF(0.5)
        marks = [_tinted(cursor_over(page.document(), start, end), colour) for start, end in places]
        if self._scope:
            marks.insert(0, _tinted(QTextCursor(self._scope), QColor(page.theme.panel)))
        page.setExtraSelections(marks)


def _tinted(cursor: QTextCursor, colour: QColor) -> QTextEdit.ExtraSelection:
    mark = QTextEdit.ExtraSelection()
    mark.cursor = cursor
    mark.format = QTextCharFormat()
    mark.format.setBackground(colour)
    return mark


def _option(text: str, on_toggled: Callable[[], None]) -> QCheckBox:
    box = QCheckBox(text)
    box.toggled.connect(on_toggled)
    return box


def _button(text: str, act: Callable[[], None]) -> QPushButton:
    button = QPushButton(text, autoDefault=True)  # Return presses it, as Space does
    button.clicked.connect(act)
    return button
