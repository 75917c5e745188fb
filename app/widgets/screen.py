"""The screen that a window is on, and what fits there."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

_FRAME = QSize(16, 40)
"""About what a desktop puts around a window; it is not known before the window is shown."""


def room_on_screen(window: QWidget) -> QSize:
    """The most that a window can take, without its frame."""
    frame = (window.frameGeometry().size() - window.size()).expandedTo(_FRAME)
    return window.screen().availableGeometry().size() - frame


def keep_on_screen(window: QWidget) -> None:
    """Move a window that has grown over the screen's right or lower edge."""
    available, frame = window.screen().availableGeometry(), window.frameGeometry()
    over_x = max(0, min(frame.right() - available.right(), frame.left() - available.left()))
    over_y = max(0, min(frame.bottom() - available.bottom(), frame.top() - available.top()))
    if over_x or over_y:
        window.move(window.x() - over_x, window.y() - over_y)
