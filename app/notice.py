"""A message that stays in view until it is read: what happened, and what to do next."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from app.widgets import tool_button


class Notice(QFrame):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setAccessibleName("Message")
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._act = QPushButton()
        self._act.setProperty("link", True)
        self._act.setAccessibleName("Do what the message offers")
        self._act.clicked.connect(lambda: self._on_asked())
        close = tool_button("×", "Close the message", self.hide)
        self._on_asked: Callable[[], object] = self.hide
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 8, 8, 8)
        row.addWidget(self._text, 1)
        row.addWidget(self._act)
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def text(self) -> str:
        return str(self._text.text())

    def tell(
        self, message: str, remedy: str = "", label: str = "", act: Callable[[], object] | None = None
    ) -> None:
        """label and act: a button that does what the remedy says."""
        self._text.setText(f"{message} {remedy}".strip())
        self._act.setVisible(act is not None)
        self._act.setText(label)
        self._act.setAccessibleName(label)
        self._on_asked = act or self.hide
        self.show()
