"""A dialog with a text to be read, and copied."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPushButton, QTextBrowser, QVBoxLayout, QWidget

from app.widgets.screen import room_on_screen


class TextDialog(QDialog):
    """A text to be read, and copied."""

    def __init__(self, title: str, html: str, copied: str, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(QSize(560, 520).boundedTo(room_on_screen(window)))
        self.text = QTextBrowser()
        self.text.setAccessibleName(title)
        self.text.setFrameShape(QTextBrowser.Shape.NoFrame)
        self.text.setHtml(html)
        self.buttons = QHBoxLayout()
        self.buttons.addStretch(1)
        if copied:
            copy = QPushButton("&Copy")
            copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(copied))
            self.buttons.addWidget(copy)
        close = QPushButton("Close", default=True)
        close.clicked.connect(self.accept)
        self.buttons.addWidget(close)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(20, 16, 20, 16)
        rows.addWidget(self.text)
        rows.addLayout(self.buttons)
