"""A window as a writer uses it, with an engine that does what it is told."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.documents.recovery import RecoveryStore
from app.drafting.draft_session import DraftState
from app.settings.store import SettingsStore
from app.window.main_window import MainWindow
from app.worker.engine_thread import EngineThread
from tests.app.conftest import Run
from tests.app.pages import TEXT
from tests.fakes import FakeEngine

Open = Callable[[], MainWindow]
Lose = Callable[[MainWindow], None]
Runs = list[tuple[MainWindow, EngineThread, RecoveryStore]]


@pytest.fixture
def runs() -> Runs:
    return []


@pytest.fixture
def lose(runs: Runs) -> Lose:
    """As if the window's run were killed: the text, which is not saved, is left behind."""

    def lose_one(window: MainWindow) -> None:
        window.view.document.leave()
        for recovery in (recovery for other, _, recovery in runs if other is window):
            recovery.close()

    return lose_one


@pytest.fixture
def open_window(qtbot: QtBot, run: Run, tmp_path: Path, runs: Runs) -> Iterator[Open]:
    def open_one() -> MainWindow:
        worker, recovery = EngineThread(FakeEngine), RecoveryStore()
        window = MainWindow(SettingsStore(tmp_path / "settings.json"), worker, recovery)
        qtbot.addWidget(window, before_close_func=_forget_changes)
        worker.start()
        window.show()
        runs.append((window, worker, recovery))
        return window

    yield open_one
    for window, worker, recovery in runs:
        run(window.view.sent.close())
        run(window.view.drafts.close())
        run(window.model.close())
        assert worker.close()
        window.view.document.close()
        window.view.keeper.close()
        recovery.close()
        window.history.close()
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    app.setStyleSheet("")


def _forget_changes(window: MainWindow) -> None:
    window.view.page.document().setModified(False)


@pytest.fixture
def window(open_window: Open) -> MainWindow:
    return open_window()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ferry.md"
    path.write_text(TEXT, encoding="utf-8")
    return path


async def settle(window: MainWindow) -> None:
    window.view.commands.draft()
    while window.view.drafts.state is not DraftState.SETTLED:
        await asyncio.sleep(0.002)
