"""The real window with settings of its own, for pictures of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.settings.store import SettingsStore
    from app.window.main_window import MainWindow
    from engine.protocol.engine import Engine

WIDTH, HEIGHT = 1180, 780


async def until(reached: Callable[[], bool]) -> None:
    while not reached():
        await asyncio.sleep(0.01)


def in_window(
    open_engine: Callable[[], Engine],
    theme: str,
    scenario: Callable[[MainWindow, SettingsStore], Awaitable[None]],
) -> None:
    """Run it in a real window with settings of its own."""
    import qasync
    from PySide6.QtWidgets import QApplication

    from app.application import make_application
    from app.documents.recovery import RecoveryStore
    from app.settings.store import SettingsStore, default_path
    from app.window.main_window import MainWindow
    from app.worker.engine_thread import EngineThread

    application = QApplication.instance() or make_application(["mezzotint"])
    assert isinstance(application, QApplication)
    application.setCursorFlashTime(0)
    settings, recovery = SettingsStore(default_path()), RecoveryStore()
    settings.change(theme=theme, reduced_motion="off", offered=True)
    worker = EngineThread(open_engine)

    async def run(window: MainWindow) -> None:
        await scenario(window, settings)
        window.view.page.document().setModified(False)
        await window.view.sent.close()
        await window.view.drafts.close()
        await window.model.close()

    with qasync.QEventLoop(application) as loop:
        window = MainWindow(settings, worker, recovery)
        window.resize(WIDTH, HEIGHT)
        window.show()
        worker.start()
        loop.run_until_complete(run(window))
        window.close()
        worker.close()
        recovery.close()
