"""Labels and tool buttons with accessible names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QToolButton

L = TypeVar("L", bound=QLabel)


def tool_button(text: str, name: str, act: Callable[[], object] | None = None) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setAccessibleName(name)
    button.setToolTip(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if act is not None:
        button.clicked.connect(act)
    return button


class ElidedLabel(QLabel):
    """One line in the width that it gets; a text that is cut stands in the tooltip, above the details."""

    details = ""
    mode = Qt.TextElideMode.ElideRight

    def paintEvent(self, _event: QPaintEvent) -> None:
        room = self.contentsRect()
        shown = self.fontMetrics().elidedText(self.text(), self.mode, room.width())
        self.setToolTip("\n".join(filter(None, ("" if shown == self.text() else self.text(), self.details))))
        QPainter(self).drawText(room, Qt.AlignmentFlag.AlignVCenter, shown)


def quiet_label(what: str, *, elided: bool = False) -> QLabel:
    return quiet(ElidedLabel() if elided else QLabel(), what)


def quiet(label: L, what: str) -> L:
    """Small secondary text, taken as it is: never as rich text. what: said after the text by a screen
    reader, which would say a label's name in place of its text.
    """
    label.setAccessibleDescription(what)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("quiet", True)
    return label
