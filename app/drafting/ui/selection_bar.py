"""The quiet bar beside a selection that rests: Polish · Rephrase · Rewrite · Shorten · Expand."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRect, QRectF, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QToolButton

from app.drafting.draft_actions import DraftActions
from app.editor.page import Page
from app.editor.passages import whole_words
from app.widgets.labels import tool_button
from app.widgets.timers import timer

REST_MS = 500
_SPACE_PX = 6


class SelectionBar(QFrame):
    """What can be done with the selected passage; beside it, never over it, until the writer types."""

    def __init__(self, page: Page, actions: DraftActions) -> None:
        super().__init__(page.viewport())
        self._page = page
        self._actions = actions
        self.setObjectName("selectionBar")
        self.setFont(QApplication.font())
        self.setAccessibleName("Selected passage")
        self.setCursor(Qt.CursorShape.ArrowCursor)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 3, 6, 3)
        row.setSpacing(2)
        for action in actions.of_selection:
            row.addWidget(_button(action))
        self.rest = timer(self, self.place, REST_MS, single_shot=True)
        page.selectionChanged.connect(self._on_selection)
        page.geometry_changed.connect(self._on_geometry)
        page.typed.connect(self._go)
        page.installEventFilter(self)
        self.hide()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.FocusOut:
            self._go()
        return False

    def _on_selection(self) -> None:
        self.hide()
        self.rest.start()

    def _go(self) -> None:
        self.rest.stop()
        self.hide()

    def _on_geometry(self) -> None:
        if self.isVisible():
            self.place()

    def place(self) -> None:
        """Above the selection where there is room, else below it."""
        page = self._page
        if QApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            self.rest.start()  # it is being made
            return
        offered = page.hasFocus() and self._actions.of_selection[0].isEnabled()
        if not offered or (passage := whole_words(page.textCursor())) is None:
            self.hide()
            return
        lines = page.text_rects((passage.selectionStart(), passage.selectionEnd()))
        view = page.viewport().rect()
        self.adjustSize()
        for top in _places([line for line in lines if line.intersects(QRectF(view))], self.height()):
            left = max(0, min(round(lines[0].left()), view.width() - self.width()))
            bar = QRect(left, round(top), self.width(), self.height())
            if view.contains(bar):
                self.setGeometry(bar)
                self.raise_()
                self.show()
                return
        self.hide()


def _places(lines: list[QRectF], height: int) -> list[float]:
    """Where the upper edge may be: above the first line, below the last one."""
    return [lines[0].top() - _SPACE_PX - height, lines[-1].bottom() + _SPACE_PX] if lines else []


def _button(action: QAction) -> QToolButton:
    """For the mouse: Tab would replace the selection."""
    button = tool_button(action.text(), action.toolTip(), action.trigger)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button
