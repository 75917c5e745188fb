"""Playing a trace, and its timeline."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.history.replay.export import Kind
from app.history.replay.player import Replay
from app.history.replay.trace import Trace
from app.history.ui.replay_controls import ReplayControls
from app.history.ui.timeline import Timeline

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def parent(qapp: object) -> QObject:
    return QObject()


def replay_of(trace: Trace, parent: QObject, *, may_play: bool = True) -> Replay:
    return Replay(trace, parent, may_play=may_play)


def cut(trace: Trace, steps: int) -> Trace:
    return msgspec.structs.replace(trace, steps=trace.steps[:steps], text=None, stats=None)


def test_it_begins_settled_and_plays_from_the_start(trace: Trace, parent: QObject, qtbot: QtBot) -> None:
    replay = replay_of(cut(trace, 4), parent)
    shown = []
    replay.changed.connect(lambda: shown.append(replay.index))
    assert (replay.index, replay.plays) == (3, False)
    replay.turn()
    qtbot.waitUntil(lambda: not replay.plays)
    assert sorted(set(shown)) == [0, 1, 2, 3]
    assert shown == sorted(shown)


def test_a_step_pauses_and_stays_within(trace: Trace, parent: QObject) -> None:
    replay = replay_of(cut(trace, 3), parent)
    replay.turn()
    replay.step(1)
    assert (replay.index, replay.plays) == (1, False)
    replay.step(-5)
    assert replay.index == 0
    replay.go_to(99)
    assert replay.index == 2


@pytest.mark.parametrize(("steps", "may_play"), [(1, True), (4, False)])
def test_one_step_alone_does_not_play_nor_does_it_with_reduced_motion(
    trace: Trace, parent: QObject, steps: int, may_play: bool
) -> None:
    replay = replay_of(cut(trace, steps), parent, may_play=may_play)
    replay.turn()
    assert (replay.index, replay.plays) == (steps - 1, False)


def test_the_words_that_are_corrected_are_counted_as_they_are_marked(trace: Trace, parent: QObject) -> None:
    replay = replay_of(cut(trace, 20), parent)
    counts = []
    for index in range(20):
        replay.go_to(index)
        counts.append(replay.corrected_words)
        assert bool(counts[-1]) <= bool(trace.corrected_at(index))
    assert counts[:15] == [0] * 15
    assert counts[18] == 3


# ---------------------------------------------------------------- the timeline


def test_a_click_or_a_drag_leads_to_a_step(trace: Trace, qtbot: QtBot) -> None:
    timeline = Timeline()
    qtbot.addWidget(timeline)
    timeline.resize(274, timeline.height())
    timeline.show_trace(trace)
    assert timeline.maximum() == 24
    found = []
    for x in (7, 137, 267, 400):
        QTest.mouseClick(timeline, LEFT, pos=QPoint(x, 10))
        found.append(timeline.value())
    assert found == [0, 12, 24, 24]
    QTest.mousePress(timeline, LEFT, pos=QPoint(267, 10))
    QTest.mouseMove(timeline, QPoint(137, 30))
    assert timeline.value() == 12
    QTest.mouseRelease(timeline, LEFT, pos=QPoint(137, 30))


def test_the_chart_is_told_in_words(trace: Trace, qtbot: QtBot) -> None:
    timeline = Timeline()
    qtbot.addWidget(timeline)
    timeline.show_trace(trace)
    told = timeline.accessibleDescription()
    most = max(nats for nats, _ in trace.measures)
    for index in (0, -1):
        nats, accepted = trace.measures[index]
        assert f"{1 - nats / most:.0%}" in told
        assert f"{accepted:.0%}" in told


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_few_steps_are_painted(trace: Trace, qtbot: QtBot, steps: int) -> None:
    timeline = Timeline()
    qtbot.addWidget(timeline)
    timeline.show_trace(cut(trace, steps))
    blank = QImage(timeline.size(), QImage.Format.Format_RGB32)
    assert timeline.grab().toImage() != blank
    assert timeline.value() == max(0, steps - 1) or timeline.value() == 0


def test_controls_lead_a_replay(trace: Trace, parent: QObject, qtbot: QtBot) -> None:
    controls = ReplayControls(list[Kind]().append, narrow=True)
    qtbot.addWidget(controls)
    replay = replay_of(trace, parent)
    controls.show_replay(replay)
    assert (controls.back.isEnabled(), controls.forth.isEnabled()) == (True, False)
    controls.back.click()
    controls.back.click()
    controls.forth.click()
    assert replay.index == controls.timeline.value() == 23
    QTest.mouseClick(controls.timeline, LEFT, pos=QPoint(8, 10))
    assert replay.index == 0
    for key, index in ((Qt.Key.Key_Home, 0), (Qt.Key.Key_Right, 1), (Qt.Key.Key_End, 24)):
        replay.go_to(0)
        controls.play.click()
        assert replay.plays
        QTest.keyClick(controls.timeline, key)
        assert (replay.plays, replay.index) == (False, index)
