"""The top row: menus, the document's name, tool buttons."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QMenuBar, QSizePolicy, QToolButton, QWidget

from app.widgets.labels import ElidedLabel, quiet, tool_button

_TITLE_PX = 260


class TopRow(QWidget):
    """Not in the menu bar's corner, where neither a screen reader nor Esc finds a way."""

    def __init__(self) -> None:
        super().__init__()
        self.menus = QMenuBar()
        self.menus.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Minimum)
        self.title = quiet(ElidedLabel(), "Document")
        self.title.mode = Qt.TextElideMode.ElideMiddle
        self.title.setMinimumWidth(1)
        self.title.setMaximumWidth(_TITLE_PX)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 12, 0)
        self._row.setSpacing(4)
        self._row.addWidget(self.menus)
        self._row.addStretch(1)
        self._row.addWidget(self.title)

    def add_button(self, action: QAction) -> QToolButton:
        button = tool_button(action.iconText(), action.iconText())
        button.setDefaultAction(action)
        self._row.addWidget(button)
        return button
