"""The text of a draft in the history, as high as it needs to be, to be read and selected."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QTextEdit

from app.widgets.panel import named

MOST_LINES = 12
"""What is longer is scrolled."""


class DraftText(QTextEdit):
    def __init__(self) -> None:
        super().__init__(readOnly=True)
        named(self, "Draft")
        self.setProperty("panel", True)
        self.setFrameShape(QTextEdit.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabChangesFocus(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        most = MOST_LINES * self.fontMetrics().lineSpacing()
        return QSize(0, min(most, round(self.document().size().height())))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.updateGeometry()
