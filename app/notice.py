"""A message that stays in view until it is read: what happened, and what to do next."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from app.widgets import tool_button

Choice = tuple[str, Callable[[], object]]
"""What a button says and does."""


class Notice(QFrame):
    """closed: the writer has put it away."""

    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setAccessibleDescription("Message")
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._acts: list[Callable[[], object]] = []
        close = tool_button("×", "Close the message", self._on_close)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 8, 8, 8)
        row.setSpacing(18)
        row.addWidget(self._text, 1)
        self.buttons = [self._button(0), self._button(1)]
        for button in self.buttons:
            row.addWidget(button)
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def text(self) -> str:
        return str(self._text.text())

    def tell(self, message: str, remedy: str = "", *ways: Choice) -> None:
        """ways: at most two buttons that do what the remedy says, the better one first."""
        self._text.setText(f"{message} {remedy}".strip())
        self._acts = [act for _, act in ways]
        labels = [label for label, _ in ways]
        for button, label in zip(self.buttons, [*labels, "", ""], strict=False):
            button.setText(label)
            button.setAccessibleName(label or "Nothing to do")
            button.setVisible(bool(label))
        self.show()

    def _button(self, index: int) -> QPushButton:
        button = QPushButton()
        button.setProperty("link", True)
        button.setAccessibleName("Nothing to do")
        button.clicked.connect(lambda: self._acts[index]())
        return button

    def _on_close(self) -> None:
        self.hide()
        self.closed.emit()
