"""The history's page of the side panel: every draft, to be looked for and used again."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QLineEdit, QListView, QVBoxLayout, QWidget

from app.history.store import HistoryStore
from app.history.ui.draft_list import DraftList
from app.history.ui.row_delegate import RowDelegate
from app.widgets.panel import MARGIN, heading, link, named, title_row
from app.widgets.timers import timer

_TYPED_MS = 80


class HistoryDrawer(QWidget):
    back = Signal()
    """The writer goes back to the settings."""
    closed = Signal()
    """The writer wants the panel gone."""

    def __init__(self, store: HistoryStore, width: int) -> None:
        super().__init__()
        self.setProperty("panel", True)
        self.setAccessibleName("History")
        self._store = store
        self.back_link = link("‹  Settings", self.back.emit, "Back to the settings")
        self.search = named(QLineEdit(), "Search the history")
        self.search.setPlaceholderText("Search")
        self.search.setClearButtonEnabled(True)
        self.drafts = DraftList(store)
        self.list = named(QListView(), "Drafts")
        self.list.setModel(self.drafts)
        self.list.setItemDelegate(RowDelegate(self.list))
        self.list.setUniformItemSizes(True)
        self.list.setFrameShape(QListView.Shape.NoFrame)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setProperty("panel", True)
        self._typed = timer(self, self._look, _TYPED_MS, single_shot=True)
        self.search.textChanged.connect(lambda: self._typed.start())
        store.changed.connect(self._on_changed)
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, 18, MARGIN, 8)
        head.setSpacing(6)
        head.addLayout(title_row(heading("History"), self.closed.emit))
        head.addWidget(self.back_link, 0, Qt.AlignmentFlag.AlignLeft)
        head.addWidget(self.search)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addLayout(head)
        rows.addWidget(self.list, 1)
        self.setMaximumWidth(width)

    def open(self) -> None:
        """The newest drafts, and the search has the keys."""
        self.drafts.load(self.search.text())
        self.search.setFocus()
        self.search.selectAll()

    def _look(self) -> None:
        self.drafts.load(self.search.text())

    def _on_changed(self) -> None:
        if self.isVisible():
            self.drafts.refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)
