"""A message box in the window's style."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialogButtonBox, QMessageBox, QPushButton, QWidget

_MARGIN_PX = 24
_INDENT_PX = 21
"""Qt's own, of the text, where an icon would stand."""


def question(text: str, detail: str, window: QWidget | None) -> QMessageBox:
    """To be given buttons, and opened."""
    box = QMessageBox(window)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setTextFormat(Qt.TextFormat.PlainText)  # names are taken as they are
    box.setText(text)
    box.setInformativeText(detail)
    if (layout := box.layout()) and (buttons := box.findChild(QDialogButtonBox)):
        layout.setContentsMargins(_MARGIN_PX - _INDENT_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        buttons.setContentsMargins(_INDENT_PX, _MARGIN_PX // 2, 0, 0)
    return box


def set_default(box: QMessageBox, button: QPushButton) -> None:
    """What Return presses."""
    button.setProperty("primary", True)
    button.style().polish(button)
    box.setDefaultButton(button)
