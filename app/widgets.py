"""The two widgets that every part of the window uses, each with what a screen reader says of it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QToolButton


def tool_button(text: str, name: str, act: Callable[[], object] | None = None) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setAccessibleName(name)
    button.setToolTip(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if act is not None:
        button.clicked.connect(act)
    return button


def quiet_label(what: str) -> QLabel:
    """Small secondary text, taken as it is: never as rich text. what: said after the text by a screen
    reader, which would say a label's name in place of its text.
    """
    label = QLabel()
    label.setAccessibleDescription(what)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("quiet", True)
    return label
