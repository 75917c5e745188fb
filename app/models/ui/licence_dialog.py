"""The dialog that shows a licence."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPlainTextEdit, QVBoxLayout, QWidget


def show_licence(name: str, source: str, file: Path, parent: QWidget) -> None:
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(name)
    text = QPlainTextEdit(f"{source}\n\n{_text_of(file)}", readOnly=True)
    text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    text.setAccessibleName(name)
    text.setTabChangesFocus(True)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    rows = QVBoxLayout(dialog)
    rows.addWidget(text)
    rows.addWidget(buttons)
    dialog.resize(620, 560)
    dialog.open()


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError as error:
        return f"“{file}” cannot be read: {error.strerror}. Check that its disk or stick is still connected."
