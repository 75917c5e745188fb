"""The model's memory is freed once nothing was done for as long as the writer said. Time is played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor
from pytestqt.qtbot import QtBot

from app.drafting.idle_unload import IdleUnload
from app.editor.page import Page
from app.settings.store import SettingsStore
from engine.protocol.events import Ready
from tests.app.pages import make_page
from tests.fakes import ready


class Fake(QObject):
    """A model and the drafts of a page in one."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.ready: Ready | None = ready("")
        self.overlays: list[SimpleNamespace] = []
        self.unloaded = 0

    def unload(self) -> None:
        self.unloaded += 1
        self.ready = None
        self.changed.emit()


@dataclass
class Desk:
    idle: IdleUnload
    fake: Fake
    settings: SettingsStore
    page: Page

    @property
    def minutes(self) -> float | None:
        """Until the memory is freed."""
        timer = self.idle.timer
        return timer.interval() / 60_000 if timer.isActive() else None


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path) -> Iterator[Desk]:
    settings, fake = SettingsStore(tmp_path / "settings.json"), Fake()
    page = make_page(qtbot)
    idle = IdleUnload(page, fake, settings, fake)  # type: ignore[arg-type]
    yield Desk(idle, fake, settings, page)
    idle.timer.stop()


def test_never_unless_the_writer_says_so(desk: Desk) -> None:
    assert desk.minutes is None
    desk.settings.change(unload_after_minutes=5)
    assert desk.minutes == 5
    desk.settings.change(unload_after_minutes=None)
    assert desk.minutes is None


def test_freed_when_the_time_is_over(desk: Desk) -> None:
    desk.settings.change(unload_after_minutes=15)
    desk.idle.timer.timeout.emit()
    assert desk.fake.unloaded == 1
    assert desk.minutes is None
    desk.fake.ready = ready("")
    desk.fake.changed.emit()
    assert desk.minutes == 15


@pytest.mark.parametrize("what", ["type", "move", "scroll", "draft"])
def test_what_the_writer_does_begins_the_time_anew(desk: Desk, what: str) -> None:
    desk.page.insertPlainText("A line.")
    desk.settings.change(unload_after_minutes=5)
    desk.idle.timer.stop()
    match what:
        case "type":
            desk.page.insertPlainText("x")
        case "move":
            desk.page.moveCursor(QTextCursor.MoveOperation.Start)
        case "scroll":
            desk.page.verticalScrollBar().setRange(0, 9)
            desk.page.verticalScrollBar().setValue(5)
        case "draft":
            desk.fake.changed.emit()
    assert desk.minutes == 5


def test_never_under_a_draft_that_runs(desk: Desk) -> None:
    desk.settings.change(unload_after_minutes=5)
    desk.fake.overlays = [SimpleNamespace(develops=False), SimpleNamespace(develops=True)]
    desk.idle.timer.timeout.emit()
    assert desk.fake.unloaded == 0
    desk.fake.overlays.pop()
    desk.idle.timer.timeout.emit()
    assert desk.fake.unloaded == 1
