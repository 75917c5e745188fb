"""The smoothed rate of a download."""

from __future__ import annotations

import math

SMOOTHING_S = 8.0
LONGEST_S = 30 * 86400.0


class DownloadRate:
    def __init__(self) -> None:
        self.bytes_per_s = 0.0
        self._last: tuple[float, int] | None = None

    def reset(self) -> None:
        self.bytes_per_s, self._last = 0.0, None

    def update(self, now_s: float, done_bytes: int) -> None:
        """now_s: by any clock that does not go backwards."""
        if self._last is None or done_bytes < self._last[1]:
            self.reset()
            self._last = now_s, done_bytes
            return
        passed_s = now_s - self._last[0]
        if passed_s <= 0:
            return
        current = (done_bytes - self._last[1]) / passed_s
        share = 1 - math.exp(-passed_s / SMOOTHING_S) if self.bytes_per_s else 1.0
        self.bytes_per_s += share * (current - self.bytes_per_s)
        self._last = now_s, done_bytes

    def seconds_left(self, left_bytes: int) -> float | None:
        """None while nothing moves, or next to nothing."""
        seconds = left_bytes / self.bytes_per_s if self.bytes_per_s else math.inf
        return seconds if seconds < LONGEST_S else None
