"""A thin progress bar."""

from __future__ import annotations

from PySide6.QtWidgets import QProgressBar, QWidget

_WHOLE = 1000


class ProgressLine(QProgressBar):
    """A thin line that fills: share, 0 … 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Progress")
        self.setTextVisible(False)
        self.setRange(0, _WHOLE)
        self.setFixedSize(96, 4)
        self.set_share(0)

    @property
    def share(self) -> float:
        return self.value() / _WHOLE

    def set_share(self, share: float) -> None:
        self.setValue(round(share * _WHOLE))
