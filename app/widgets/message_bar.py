"""A message bar: what happened and what to do next, until it is closed."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from app.widgets.labels import tool_button
from engine.protocol.errors import Fault

Choice = tuple[str, Callable[[], object]]
"""What a button says and does."""


class MessageBar(QFrame):
    """Shows a message, with up to three things to do."""

    turned = Signal()
    """It is shown now, or hidden."""
    left = Signal()
    """It was hidden while it had the keys."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setAccessibleDescription("Message")
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._acts: list[Callable[[], object]] = []
        self._text.setContentsMargins(0, 3, 0, 0)  # its first line on one with the cross
        close = tool_button("×", "Close the message", self.hide)
        close.setProperty("bare", True)
        self.buttons = [self._button(index) for index in range(3)]
        ways = QHBoxLayout()
        ways.setSpacing(18)
        for button in self.buttons:
            ways.addWidget(button)
        ways.addStretch(1)
        grid = QGridLayout(self)
        grid.setContentsMargins(14, 8, 8, 8)
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(0, 1)
        grid.addWidget(self._text, 0, 0)
        grid.addWidget(close, 0, 1, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(ways, 1, 0)
        self.hide()

    @property
    def text(self) -> str:
        return str(self._text.text()).replace("\u200b", "")

    def show_fault(self, fault: Fault, *ways: Choice) -> None:
        self.show_message(fault.message, fault.remedy, *ways)

    def show_message(self, message: str, remedy: str = "", *ways: Choice) -> None:
        """ways: at most three buttons that do what the remedy says, the better one first."""
        from app.widgets.panel import breakable  # the first paint does not need it

        self._text.setText(breakable(f"{message} {remedy}".strip()))
        self._keep_whole()
        self._acts = [act for _, act in ways]
        labels = [label for label, _ in ways]
        for button, label in zip(self.buttons, [*labels, "", "", ""], strict=False):
            button.setText(label)
            button.setAccessibleName(label or "Nothing to do")
            button.setVisible(bool(label))
        self.show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._keep_whole()

    def _keep_whole(self) -> None:
        """However low the window is, of the text nothing is cut off."""
        self._text.setMinimumHeight(max(0, self._text.heightForWidth(self._text.width())))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.turned.emit()

    def setVisible(self, visible: bool) -> None:
        leaves = not visible and self.isAncestorOf(QApplication.focusWidget() or self)
        super().setVisible(visible)
        if leaves:  # Qt has given the keys to whatever comes next
            self.left.emit()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.turned.emit()

    def _button(self, index: int) -> QPushButton:
        button = QPushButton()
        button.setProperty("link", True)
        button.setAccessibleName("Nothing to do")
        button.clicked.connect(lambda: self._acts[index]())
        return button
