"""The ReplayView: a replay beside the page, of a draft that has no place there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QFont, QHideEvent, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from app.editor.page import Page
from app.history.replay.export import Export, Kind
from app.history.replay.player import Replay
from app.history.replay.step_picture import Paper, StepPicture
from app.history.replay.trace import Trace
from app.history.ui.replay_controls import ReplayControls
from app.settings.store import SettingsStore
from app.widgets.theme import reduces_motion
from engine.protocol.errors import Fault

_MARGIN_PX = 12


class ReplayView(QWidget):
    """show_trace, and its steps can be gone through; None empties it. In the page's colours and face."""

    left = Signal()
    """By Esc."""
    saved = Signal(Path)
    failed = Signal(Fault)

    def __init__(self, page: Page, settings: SettingsStore, folder: Callable[[], str]) -> None:
        """folder: where a replay is saved, unless the writer chooses another one."""
        super().__init__()
        self.page = page
        self._settings = settings
        self._folder = folder
        self.replay: Replay | None = None
        self.export = Export(self)
        self.export.saved.connect(self.saved)
        self.export.failed.connect(self.failed)
        self.still = _Still(page)
        area = QScrollArea(widgetResizable=True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self.still)
        self.controls = ReplayControls(self._ask_export, narrow=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(area, 1)
        column.addWidget(self.controls)
        self.show_trace(None)

    def show_trace(self, trace: Trace | None) -> None:
        """At its last step."""
        if self.replay is not None:
            self.replay.deleteLater()
        self.replay = None
        if trace is not None and trace.steps:
            may_play = not reduces_motion(self._settings.current.reduced_motion)
            self.replay = Replay(trace, self, may_play=may_play)
            self.replay.changed.connect(self._on_changed)
        self.controls.show_replay(self.replay)
        self.controls.setVisible(self.replay is not None)
        self._on_changed()

    def set_prose_font(self, font: QFont) -> None:
        """Of another size than the page's."""
        self.still.set_prose_font(font)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if self.replay is not None:
            self.replay.pause()

    def _on_changed(self) -> None:
        if self.replay is None:
            self.still.show_step(None, 0)
        else:
            self.still.show_step(self.replay.trace, self.replay.index)

    def _ask_export(self, kind: Kind) -> None:
        if self.replay is not None:
            self.export.ask(kind, self.replay, Paper.of(self.page), self._folder(), self.window())


class _Still(QWidget):
    """The draft after a step, as high as it needs."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._font = page.font()
        self._trace: Trace | None = None
        self._index = 0
        self.picture: StepPicture | None = None

    def show_step(self, trace: Trace | None, index: int) -> None:
        if trace is not self._trace:
            self.setMinimumHeight(0)
        self._trace, self._index = trace, index
        self._draw()

    def set_prose_font(self, font: QFont) -> None:
        self._font = font
        self.setMinimumHeight(0)
        self._draw()

    def _draw(self) -> None:
        paper = Paper(self._font, self._page.theme, max(self.width(), 1), _MARGIN_PX)
        self.picture = StepPicture(self._trace, self._index, paper) if self._trace else None
        if self.picture is not None:
            self.setMinimumHeight(max(self.minimumHeight(), round(self.picture.height)))
        else:
            self.setMinimumHeight(0)
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.setMinimumHeight(0)
            self._draw()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._page.theme.paper))
        if self.picture is not None:
            self.picture.paint(painter, self._page.theme)
