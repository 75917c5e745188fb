"""The real window with settings of its own, for pictures of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from app.settings.store import SettingsStore
    from app.window.main_window import MainWindow
    from engine.protocol.engine import Engine

WIDTH, HEIGHT = 1180, 780
FILM_SIZE, FILM_FRAME_MS = (760, 400), 120


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
        window.history.close()


class Film:
    """An animation of the middle of the window."""

    def __init__(self) -> None:
        self._frames: list[Image.Image] = []

    async def roll(self, window: MainWindow, seconds: float = FILM_FRAME_MS / 1000) -> None:
        from PIL import Image
        from PySide6.QtCore import QRect
        from PySide6.QtGui import QImage

        for _ in range(round(1000 * seconds / FILM_FRAME_MS)):
            width, height = FILM_SIZE
            part = QRect((WIDTH - width) // 2, window.top.height(), width, height)
            image = window.grab(part).toImage().convertToFormat(QImage.Format.Format_RGB888)
            size = (image.width(), image.height())
            data = bytes(image.constBits())
            self._frames.append(Image.frombytes("RGB", size, data, "raw", "RGB", image.bytesPerLine()))
            await asyncio.sleep(FILM_FRAME_MS / 1000)

    def save(self, path: Path) -> None:
        first, *others = self._frames
        first.save(path, save_all=True, append_images=others, duration=FILM_FRAME_MS, loop=0)
