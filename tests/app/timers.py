"""Timers whose time comes when the test says so."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, QTimer


def timer_of(owner: QObject, interval_ms: int) -> QTimer:
    """The one of its own that has this interval."""
    timers = owner.findChildren(QTimer, options=Qt.FindChildOption.FindDirectChildrenOnly)
    (found,) = (timer for timer in timers if timer.interval() == interval_ms)
    return found


def let_pass(owner: QObject, interval_ms: int) -> None:
    """As if that time had passed."""
    timer_of(owner, interval_ms).timeout.emit()
