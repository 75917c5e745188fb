"""The bar of a replay in the page, in place of the draft's."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QRect, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout

from app.drafting.controller import DraftController
from app.drafting.ui.draft_bar import EDGE_PX
from app.editor.page import Page
from app.history.replay.export import Export, Kind
from app.history.replay.player import Replay
from app.history.replay.step_picture import Paper
from app.history.ui.replay_controls import ReplayControls
from app.widgets.labels import tool_button
from app.widgets.panel import go_round


class ReplayBar(QFrame):
    """Esc, or a click in the page, closes it."""

    closed = Signal()

    def __init__(self, page: Page, drafts: DraftController, folder: Callable[[], str]) -> None:
        super().__init__(page.viewport())
        self._page = page
        self._drafts = drafts
        self._folder = folder
        self._replay: Replay | None = None
        self.export = Export(self)
        self.setObjectName("draftBar")
        self.setFont(QApplication.font())
        self.setAccessibleName("Replay")
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.controls = ReplayControls(self._ask_export, narrow=False)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocusProxy(self.controls.timeline)
        self.done = tool_button("Done  Esc", "Back to the settled draft", self.closed.emit)
        row = QHBoxLayout(self)
        row.setContentsMargins(9, 4, 9, 4)
        row.setSpacing(4)
        row.addWidget(self.controls, 1)
        row.addWidget(self.done)
        page.geometry_changed.connect(self.place)
        page.installEventFilter(self)
        page.viewport().installEventFilter(self)
        self.hide()

    def open(self, replay: Replay) -> None:
        self._replay = replay
        self.controls.show_replay(replay)
        self.show()
        self.place()
        self.raise_()
        self.controls.timeline.setFocus()

    def close_bar(self) -> None:
        self._replay = None
        self.controls.show_replay(None)
        self.hide()

    def _ask_export(self, kind: Kind) -> None:
        if self._replay is not None:
            paper = Paper.of(self._page)
            self.export.ask(kind, self._replay, paper, self._folder(), self.window())

    def place(self) -> None:
        """Over the draft's bar; where that is out of view, at the lower edge of the page."""
        if self.isHidden() or (draft := self._drafts.current) is None:
            return
        view, left = self._page.viewport().rect(), round(self._page.document().documentMargin())
        width = view.width() - 2 * left
        self.controls.legend.show()
        if self.minimumSizeHint().width() > width:
            self.controls.legend.hide()  # the timeline's tooltip tells it, too
        height = self.sizeHint().height()
        top = round(self._drafts.overlays[draft].geometry.bar_top)
        self.setGeometry(QRect(left, max(EDGE_PX, min(top, view.height() - height - EDGE_PX)), width, height))

    def event(self, event: QEvent) -> bool:
        """Enter with Ctrl would keep what is not shown."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            event.setAccepted(event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter))
            return event.isAccepted()
        return super().event(event)

    def focusNextPrevChild(self, forward: bool) -> bool:
        return go_round(self, forward)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """What the controls have no use for is not the page's either."""
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Nor is a click beside them."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if self.isHidden():
            return False
        if event.type() == QEvent.Type.MouseButtonPress:
            self.closed.emit()
            return True  # it does nothing else
        by_keys = isinstance(event, QFocusEvent) and event.reason() != Qt.FocusReason.MouseFocusReason
        if by_keys and event.type() == QEvent.Type.FocusIn and watched is self._page:
            self.closed.emit()  # by the mouse: the press comes next
        return False
