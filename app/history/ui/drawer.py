"""The history's page of the side panel: every draft, to be looked for and used again."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.history import queries
from app.history.actions import HistoryActions
from app.history.record import DraftRecord, DraftRow
from app.history.store import HistoryStore
from app.history.ui.details import DraftDetails
from app.history.ui.draft_list import DraftList
from app.history.ui.replay_view import ReplayView
from app.history.ui.row_delegate import RowDelegate
from app.settings.store import SettingsStore
from app.widgets.labels import quiet_label
from app.widgets.panel import MARGIN, RETURN_PRESSES, go_round, heading, link, named, title_row
from app.widgets.theme import prose_font
from app.widgets.timers import timer
from engine.checkpoints.units import disk_text

_TYPED_MS = 80
_PROSE_PX = 15
_LEAST_LINES = 8
"""Of the list: two drafts."""
_DETAILS_SHARE = 0.45
"""Of the height, the most that a draft's text takes."""


class HistoryDrawer(QWidget):
    """Keys: what is typed is looked for, arrows go through what was found, Enter puts it in, Esc leaves."""

    back = Signal()
    """The writer goes back to the settings."""
    closed = Signal()
    """The writer wants the panel gone."""

    def __init__(
        self,
        store: HistoryStore,
        settings: SettingsStore,
        actions: HistoryActions,
        replay: ReplayView,
        width: int,
    ) -> None:
        super().__init__()
        self.setProperty("panel", True)
        self.setAccessibleName("History")
        self.setMaximumWidth(width)
        self._store = store
        self._settings = settings
        self._actions = actions
        self._wanted = 0
        """The id of the draft that is to be shown."""
        self.back_link = link("‹  Settings", self.back.emit, "Back to the settings")
        self.search = named(QLineEdit(), "Search the history")
        self.search.setPlaceholderText("Search")
        self.drafts = DraftList(store)
        self.list = _list_of(self.drafts)
        # Not wrapped: a height that follows the width would be more than a low window has.
        self.empty = quiet_label("What was found")
        self.empty.setContentsMargins(MARGIN, 8, MARGIN, 8)
        self.details = DraftDetails(actions, replay, width)
        self.size_label = quiet_label("Size")
        self.delete_all = link("Delete all…", actions.ask_delete_all, "Delete the whole history")
        self._typed = timer(self, self._look, _TYPED_MS, single_shot=True)
        self._build()
        self.search.textChanged.connect(lambda: self._typed.start())
        self.search.installEventFilter(self)
        self.list.installEventFilter(self)
        self.list.doubleClicked.connect(self._insert)
        self.list.selectionModel().currentChanged.connect(self._on_current)
        self.drafts.loaded.connect(self._on_loaded)
        store.changed.connect(self._on_changed)
        settings.changed.connect(self._set_prose_font)
        actions.deleted.connect(self._on_deleted)
        actions.emptied.connect(lambda: self.drafts.load(self.search.text()))

    def _build(self) -> None:
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, 18, MARGIN, 8)
        head.setSpacing(6)
        head.addLayout(title_row(heading("History"), self.closed.emit))
        head.addWidget(self.back_link, 0, Qt.AlignmentFlag.AlignLeft)
        head.addSpacing(4)
        head.addWidget(self.search)
        foot = QHBoxLayout()
        foot.setContentsMargins(MARGIN, 6, MARGIN, 14)
        foot.addWidget(self.size_label, 1)
        foot.addWidget(self.delete_all)
        self._line = QFrame()
        self._line.setObjectName("divider")
        self._line.setFixedHeight(1)
        content = QWidget()
        content.setProperty("panel", True)
        content.setStyleSheet(RETURN_PRESSES)
        rows = QVBoxLayout(content)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addLayout(head)
        rows.addWidget(self.empty)
        rows.addWidget(self.list, 1)
        rows.addStretch(0)
        rows.addWidget(self._line)
        rows.addWidget(self.details)
        rows.addLayout(foot)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(_scrolling(content))  # a very low window

    # ---------------------------------------------------------------- what is shown

    def open(self) -> None:
        """The newest drafts; the search has the keys."""
        self.drafts.load(self.search.text())
        self._count()
        self.search.setFocus()
        self.search.selectAll()

    def _look(self) -> None:
        if self.search.text() != self.drafts.query:
            self.drafts.load(self.search.text())

    def _count(self) -> None:
        self._store.read(queries.count, self._on_counted)

    def _on_counted(self, found: tuple[int, int]) -> None:
        count, size = found
        drafts = "1 draft" if count == 1 else f"{count:,} drafts"
        self.size_label.setText(" · ".join([drafts] * bool(count) + [disk_text(size)] * (size >= 1e6)))
        self.delete_all.setVisible(count > 0)

    def _on_loaded(self) -> None:
        rows, query = self.drafts.rows, self.drafts.query.strip()
        if not rows and self.list.hasFocus():
            self.search.setFocus()
        self.list.setVisible(bool(rows))
        self.empty.setVisible(not rows)
        if query:
            self.empty.setText("No draft has these words.")
        elif self._settings.current.history:
            self.empty.setText("What is drafted from now on\nwill be here, kept or not.")
        else:
            self.empty.setText("No history is kept. The settings turn it on.")
        ids = [row.id for row in rows]
        at = ids.index(self._wanted) if self._wanted in ids else 0
        if rows:
            select = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.list.selectionModel().setCurrentIndex(self.drafts.index(at), select)
        else:
            self._show(None)

    def _on_changed(self) -> None:
        if self.isVisible():
            self.drafts.refresh()
            self._count()
            self._read()

    def _on_deleted(self, number: int) -> None:
        self.drafts.remove(number)
        if not self.drafts.rows:
            self._on_loaded()
            self.search.setFocus()

    def _on_current(self, current: QModelIndex) -> None:
        if current.isValid():
            row: DraftRow = self.drafts.rows[current.row()]
            self._wanted = row.id
            self._read()

    def _read(self) -> None:
        if wanted := self._wanted:
            self._store.read(partial(queries.record, number=wanted), partial(self._on_read, wanted))

    def _on_read(self, wanted: int, record: DraftRecord | None) -> None:
        if wanted == self._wanted and self.details.record != record:
            self._show(record)

    def _show(self, record: DraftRecord | None) -> None:
        self._line.setVisible(record is not None)
        self.details.show_draft(record, self.drafts.query)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.details.set_highest(round(_DETAILS_SHARE * self.height()))
        super().resizeEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._set_prose_font()

    def _set_prose_font(self) -> None:
        """Anew whenever a stylesheet may have set another one."""
        chosen = self._settings.current
        self.details.set_prose_font(prose_font(chosen.font_family, _PROSE_PX))

    # ---------------------------------------------------------------- keys

    def _show_current(self) -> None:
        """The details may have taken the room that it stood in."""
        self.list.scrollTo(self.list.currentIndex())

    def _insert(self) -> None:
        self.details.insert.click()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.list and event.type() == QEvent.Type.Resize:
            QTimer.singleShot(0, self.list, self._show_current)
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        return self._on_search_key(event) if watched is self.search else self._on_list_key(event)

    def _on_search_key(self, event: QKeyEvent) -> bool:
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._look()
            if self.drafts.rows:
                self.list.setFocus()
            return True
        return False

    def _on_list_key(self, event: QKeyEvent) -> bool:
        match event.key():
            case _ if event.matches(QKeySequence.StandardKey.Copy):
                self.details.copy.click()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._insert()
            case Qt.Key.Key_Delete:
                self.details.delete.click()
            case Qt.Key.Key_Left | Qt.Key.Key_Right:
                self.details.show_variant(-1 if event.key() == Qt.Key.Key_Left else 1)
            case Qt.Key.Key_Up if self.list.currentIndex().row() == 0:
                self.search.setFocus()
            case _ if event.text().isprintable() and event.text().strip():
                self.search.setFocus()
                self.search.setText(event.text())
            case _:
                return False
        return True

    def focusNextPrevChild(self, forward: bool) -> bool:
        return go_round(self, forward)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)


def _scrolling(content: QWidget) -> QScrollArea:
    area = QScrollArea(widgetResizable=True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setProperty("panel", True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(content)
    return area


def _list_of(drafts: DraftList) -> QListView:
    view = named(QListView(), "Drafts")
    view.setModel(drafts)
    view.setItemDelegate(RowDelegate(view))
    view.setUniformItemSizes(True)
    view.setFrameShape(QListView.Shape.NoFrame)
    view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setProperty("panel", True)
    view.setMinimumHeight(_LEAST_LINES * view.fontMetrics().lineSpacing())
    return view
