"""Count the bytes of a download or a copy, and report them."""

from __future__ import annotations

import time

from app.models.transfer.messages import OnReport, Progress, Stage

EVERY_S = 0.25


class ProgressReporter:
    """Tells at the start and the end of a stage, and every EVERY_S in between."""

    def __init__(self, on_report: OnReport) -> None:
        self._on_report = on_report
        self._began_s = time.monotonic()
        self._told_s = 0.0
        self._stage: Stage = "downloading"
        self._total_bytes = 0
        self.done_bytes = 0

    def start(self, stage: Stage, done_bytes: int, total_bytes: int) -> None:
        self._stage, self.done_bytes, self._total_bytes = stage, done_bytes, total_bytes
        self._report()

    def add(self, count: int) -> None:
        self.done_bytes += count
        late = time.monotonic() - self._told_s >= EVERY_S
        if self._total_bytes and (late or self.done_bytes == self._total_bytes):
            self._report()

    def _report(self) -> None:
        self._told_s = time.monotonic()
        self._on_report(
            Progress(
                stage=self._stage,
                done_bytes=self.done_bytes,
                total_bytes=self._total_bytes,
                elapsed_s=self._told_s - self._began_s,
            )
        )
