"""The quiet Draft paragraph button beside the caret's line."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QApplication, QToolButton

from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.editor.page import Page
from app.widgets.timers import timer

TYPING_REST_MS = 600


class DraftButton(QToolButton):
    """Draft paragraph, beside the caret's line: only where a draft could go, and never over text.

    It is placed, like the bar, when Qt has done with a change: asking for places in its midst disturbs it.
    """

    def __init__(self, page: Page, drafts: DraftController, commands: DraftCommands) -> None:
        super().__init__(page)
        self._page = page
        self._drafts = drafts
        self.setObjectName("draftButton")
        self.setFont(QApplication.font())
        self.setText("Draft paragraph   Ctrl ↵")
        self.setAccessibleName("Draft paragraph")
        self.setToolTip("Draft a paragraph here (Ctrl+Enter)")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.clicked.connect(commands.draft)
        page.cursorPositionChanged.connect(self.place, Qt.ConnectionType.QueuedConnection)
        page.geometry_changed.connect(self.place)
        drafts.changed.connect(self.place)
        self._rest = timer(self, self.place, TYPING_REST_MS, single_shot=True)
        page.typed.connect(self._on_typed)
        page.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.place()
        return False

    def _on_typed(self) -> None:
        """It stays away until typing pauses."""
        self._rest.start()
        self.hide()

    def place(self) -> None:
        """Below the caret's line where nothing stands there, else beside it where there is room."""
        page, cursor = self._page, self._page.textCursor()
        focused = QApplication.focusWidget()
        asked = focused is not None and page.viewport().isAncestorOf(focused)
        free = self._drafts.current is None and not cursor.hasSelection() and not asked
        if not free or not cursor.atBlockEnd() or self._rest.isActive():
            self.hide()
            return
        self.adjustSize()
        view = page.viewport().geometry()
        caret = page.cursorRect(cursor).translated(view.topLeft())
        if not cursor.block().next().isValid():
            x, y = view.left() + round(page.document().documentMargin()), caret.bottom() + 10
        else:
            x, y = view.right() + 12, caret.center().y() - self.height() // 2
            if x + self.width() > page.width() - page.verticalScrollBar().width():
                x = view.right() - self.width()
                tall = self.height() > 1.25 * page.line_height  # more than the space between lines
                from_the_right = cursor.block().textDirection() == Qt.LayoutDirection.RightToLeft
                if tall or from_the_right or x < caret.right() + 16:
                    self.hide()
                    return
        self.move(x, y)
        self.setVisible(y >= view.top() - 4 and y + self.height() <= view.bottom() + 1)
