"""The list of the history's drafts: read as far as it is looked at."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from app.history import queries
from app.history.record import DraftRow
from app.history.store import HistoryStore
from app.history.words import state_of, when_text

Index = QModelIndex | QPersistentModelIndex
ROW = int(Qt.ItemDataRole.UserRole)


class DraftList(QAbstractListModel):
    """The drafts that a query finds, the newest first."""

    loaded = Signal()
    """What the query finds first is there."""

    def __init__(self, store: HistoryStore) -> None:
        super().__init__()
        self._store = store
        self.rows: list[DraftRow] = []
        self.query = ""
        self._asked = 0
        """Answers to what was asked before are of no use."""
        self._has_more = False

    def load(self, query: str = "") -> None:
        """Look for it from the newest on."""
        self.query = query
        self._asked += 1
        self._has_more = False
        self._store.read(partial(queries.rows, query=query), partial(self._on_first, self._asked))

    def refresh(self) -> None:
        """What has come, or has changed, since."""
        self._store.read(partial(queries.rows, query=self.query), partial(self._on_newest, self._asked))

    def remove(self, number: int) -> None:
        """The draft with that id, which has gone."""
        for at in (at for at, row in enumerate(self.rows) if row.id == number):
            self.beginRemoveRows(QModelIndex(), at, at)
            del self.rows[at]
            self.endRemoveRows()
            return

    def _on_first(self, asked: int, found: list[DraftRow]) -> None:
        if asked == self._asked:
            self.beginResetModel()
            self.rows, self._has_more = found, len(found) == queries.ROWS
            self.endResetModel()
            self.loaded.emit()

    def _on_newest(self, asked: int, found: list[DraftRow]) -> None:
        """Those that are listed already stay where they are."""
        if asked != self._asked:
            return
        newest = self.rows[0].id if self.rows else 0
        new = [row for row in found if row.id > newest]
        if not self.rows or len(new) == queries.ROWS:
            self._on_first(asked, found)
            return
        if new:
            self.beginInsertRows(QModelIndex(), 0, len(new) - 1)
            self.rows[:0] = new
            self.endInsertRows()
        told = {row.id: row for row in found}
        for at, row in enumerate(self.rows[: len(found)]):
            if told.get(row.id, row) != row:
                self.rows[at] = told[row.id]
                self.dataChanged.emit(self.index(at), self.index(at))

    def _on_more(self, asked: int, found: list[DraftRow]) -> None:
        if asked != self._asked:
            return
        self._has_more = len(found) == queries.ROWS
        if found:
            begin = len(self.rows)
            self.beginInsertRows(QModelIndex(), begin, begin + len(found) - 1)
            self.rows += found
            self.endInsertRows()

    # ---------------------------------------------------------------- Qt's questions

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent and parent.isValid() else len(self.rows)

    def canFetchMore(self, parent: Index) -> bool:
        return self._has_more and not parent.isValid()

    def fetchMore(self, parent: Index) -> None:
        if self.canFetchMore(parent):
            self._has_more = False  # until it is there
            more = partial(queries.rows, query=self.query, before=self.rows[-1].id)
            self._store.read(more, partial(self._on_more, self._asked))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = self.rows[index.row()]
        match role:
            case _ if role == ROW:
                return row
            case Qt.ItemDataRole.DisplayRole:
                return row.text
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{row.text} {row.verb}, {state_of(row)}, {when_text(row.at)}, {row.name}"
        return None
