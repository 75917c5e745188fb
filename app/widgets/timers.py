"""Timers."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer


def timer(
    parent: QObject, on_timeout: Callable[[], object], interval_ms: int, *, single_shot: bool = False
) -> QTimer:
    """A timer that is not started. Not by keywords: under a Turkish locale PySide finds no `interval`."""
    made = QTimer(parent)
    made.setInterval(interval_ms)
    made.setSingleShot(single_shot)
    made.timeout.connect(on_timeout)
    return made
