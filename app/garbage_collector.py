"""Collect garbage in the GUI thread alone: a Qt object must not be destroyed in another."""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject

from app.widgets.timers import timer

INTERVAL_MS = 1000


class GarbageCollector(QObject):
    """Does, once a second, what Python would do at any allocation in any thread."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        gc.freeze()  # what start-up made stays; no need to look at it again
        self._timer = timer(self, self.collect, INTERVAL_MS)
        self._timer.start()

    def collect(self) -> None:
        counts, thresholds = gc.get_count(), gc.get_threshold()
        due = [generation for generation in range(3) if counts[generation] > thresholds[generation] > 0]
        if due:
            gc.collect(max(due))
