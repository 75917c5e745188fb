"""A row of widgets that takes two lines where it has no room for one."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

_SPACE_PX = 16


class WrappingRow(QWidget):
    def __init__(self, *parts: QWidget) -> None:
        super().__init__()
        self._parts = parts
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(_SPACE_PX)
        self._arrange(len(parts))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._width(-(-len(self._parts) // 2)), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        fits = self._width(len(self._parts)) <= self.width()
        self._arrange(len(self._parts) if fits else -(-len(self._parts) // 2))
        super().resizeEvent(event)

    def _width(self, columns: int) -> int:
        """px that they need in so many columns."""
        widths = [part.sizeHint().width() for part in self._parts]
        return sum(max(widths[column::columns]) for column in range(columns)) + _SPACE_PX * (columns - 1)

    def _arrange(self, columns: int) -> None:
        for number, part in enumerate(self._parts):
            self._grid.addWidget(part, *divmod(number, columns))
        for column in range(len(self._parts) + 1):
            self._grid.setColumnStretch(column, int(column == columns))
