"""What a replay is led by: play, steps, timeline, and what can be saved of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QGridLayout, QMenu, QToolButton, QWidget

from app.history.replay.export import KINDS, Kind
from app.history.replay.player import Replay
from app.history.replay.trace import Trace
from app.history.ui.timeline import Legend, Timeline
from app.widgets.labels import quiet_label, tool_button

PLAY, PAUSE = "Play the steps (Space)", "Pause (Space)"
STILL = "Motion is reduced: go step by step"
_PLAY, _PAUSE = "▶", "‖"


class ReplayControls(QWidget):
    """In one row, or in three where it is narrow. Space plays; the timeline takes arrows, Home and End."""

    def __init__(self, export: Callable[[Kind], object], *, narrow: bool) -> None:
        super().__init__()
        self._replay: Replay | None = None
        self.play = tool_button(_PLAY, PLAY, self._turn)
        self.back = tool_button("‹", "One step back", lambda: self._step(-1))
        self.forth = tool_button("›", "One step on", lambda: self._step(1))
        for button in (self.play, self.back, self.forth):
            button.setProperty("bare", True)
            button.setFixedSize(26, 28)  # a pause is as wide as a triangle
        self.timeline = Timeline()
        self.timeline.valueChanged.connect(self._on_value)
        self.timeline.sliderPressed.connect(self._pause)
        self.timeline.actionTriggered.connect(self._pause)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocusProxy(self.timeline)  # after a click its keys hold, and not the page's
        self.legend = Legend(in_a_row=narrow)
        self.label = quiet_label("Which step")
        self.save = tool_button("Save…", "Save this replay")
        self.save.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        for kind in KINDS:
            menu.addAction(kind.label, partial(export, kind))
        menu.aboutToShow.connect(self._pause)  # what is saved is what was shown
        self.save.setMenu(menu)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        top: tuple[QWidget, ...] = (self.timeline, self.legend)
        below: tuple[QWidget, ...] = (self.play, self.back, self.forth, self.label, self.save)
        if narrow:
            for row, part in enumerate(top):
                grid.addWidget(part, row, 0, 1, len(below))
            for column, part in enumerate(below):
                grid.addWidget(part, len(top), column)
            grid.setColumnStretch(3, 1)
        else:
            for column, part in enumerate((*below[:3], *top, *below[3:])):
                grid.addWidget(part, 0, column)
            grid.setColumnStretch(3, 1)

    def show_replay(self, replay: Replay | None) -> None:
        self._replay = replay
        if replay is not None:
            self.timeline.show_trace(replay.trace)
            widest = step_name(replay.trace, replay.last)
            self.label.setMinimumWidth(self.label.fontMetrics().horizontalAdvance(widest))
            replay.changed.connect(self._on_changed)
            self._on_changed()

    def _on_changed(self) -> None:
        replay = self._replay
        if replay is None:
            return
        if self.timeline.value() != replay.index:  # a key that pauses has moved the slider, not its value yet
            self.timeline.setValue(replay.index)
        self.play.setText(_PAUSE if replay.plays else _PLAY)
        self.play.setAccessibleName(PAUSE if replay.plays else PLAY)
        self.play.setToolTip(self.play.accessibleName() if replay.may_play else STILL)
        self.play.setEnabled(replay.may_play and replay.last > 0)
        self.back.setEnabled(replay.index > 0)
        self.forth.setEnabled(replay.index < replay.last)
        name, count = step_name(replay.trace, replay.index), replay.corrected_words
        self.label.setText(f"{name}\n{count} corrected" if count else name)
        words = "1 word" if count == 1 else f"{count} words"
        self.label.setToolTip(f"{words} had been settled as something else, and were corrected.")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space:
            self._turn()
        else:
            super().keyPressEvent(event)

    def _turn(self) -> None:
        if self._replay:
            self._replay.turn()

    def _pause(self) -> None:
        if self._replay:
            self._replay.pause()

    def _step(self, by: int) -> None:
        if self._replay:
            self._replay.step(by)

    def _on_value(self, value: int) -> None:
        if self._replay and value != self._replay.index:
            self._replay.pause()
            self._replay.go_to(value)


def step_name(trace: Trace, index: int) -> str:
    step = trace.steps[index]
    last = max(each.step for each in trace.steps if each.canvas == step.canvas)
    part = f"part {step.canvas + 1}, " if trace.steps[-1].canvas else ""
    return f"{part}step {step.step} of {last}"
