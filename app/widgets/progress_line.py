"""A thin progress bar."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget


class ProgressLine(QWidget):
    """A thin line that fills: share, 0 … 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.share = 0.0
        self.setFixedSize(96, 4)

    def set_share(self, share: float) -> None:
        self.share = share
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, width in (
            (self.palette().mid().color(), float(self.width())),
            (QColor(self.palette().accent().color()), self.share * self.width()),
        ):
            painter.setBrush(colour)
            painter.drawRoundedRect(QRectF(0, 0, width, self.height()), 2, 2)
