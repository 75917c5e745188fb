"""Pictures of what a canvas can do: each part by its keys in the real window, with the bundled model."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from picture_window import in_window, until

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from app.settings.store import SettingsStore
    from app.window.main_window import MainWindow

REPORT = (
    "Quarterly report\n\nThe workshop was closed for two weeks in March while the roof was being repaired. "
    "The number of complaints went down by ten percent, while income remained stable. The largest change was "
    "seen in the design department, where the figures doubled.\n\n"
)
END = "The next task is to train the staff by the end of December."
PASSAGE = "The number of complaints went down by ten percent, while income remained stable."
GAPS = "Customers told us that [[]].\n\n[[]]\n\n"
CHAT = "{% for message in messages %}{{ message['content'] }}\\n{% endfor %}"
"""A chat template for the bundled weights, which have none: for the picture of the line that needs one."""
LETTER = "Dear Anna,\n\nThank you for your letter of 12 May. We were glad to hear from you.\n\n"
SEED, CHECKED_SEED, QUALITY = 42, 4000, 88
REST_S = 0.6


def take_all(home: Path, folder: Path, theme: str) -> None:
    """home: where the chat model goes; folder/theme: where the pictures go."""
    from engine.runtime.process_engine import ProcessEngine

    pictures = folder / theme
    pictures.mkdir(parents=True, exist_ok=True)

    async def scenes(window: MainWindow, settings: SettingsStore) -> None:
        settings.change(seed=SEED)
        scene = Scene(window, pictures)
        await scene.load()
        await rewriting(scene)
        await filling(scene)
        await checking(scene)
        settings.change(variants=4)
        await variants(scene)
        await looking_back(scene)
        await telling(scene)
        settings.change(variants=1, model=str(chat_model(home)))
        await scene.load()
        await instructing(scene)

    in_window(ProcessEngine, theme, scenes)


class Scene:
    """The window, driven by keys."""

    def __init__(self, window: MainWindow, folder: Path) -> None:
        self.window, self.page, self.drafts = window, window.view.page, window.view.drafts
        self._folder = folder

    async def load(self) -> None:
        self.window.model.load()
        await until(lambda: self.window.model.ready is not None)

    def write(self, text: str, at: str = "", selected: str = "") -> None:
        """A text of its own, with the caret in front of `at` or at the end, or with `selected` selected."""
        from PySide6.QtGui import QTextCursor

        from app.documents.text import set_document_text

        self.drafts.discard_all()
        set_document_text(self.page.document(), text)
        cursor = QTextCursor(self.page.document())
        start = text.index(selected or at) if selected or at else len(text)
        cursor.setPosition(start)
        cursor.setPosition(start + len(selected), QTextCursor.MoveMode.KeepAnchor)
        self.page.setTextCursor(cursor)

    def press(self, *keys: str, into: QWidget | None = None) -> None:
        from PySide6.QtGui import QKeySequence
        from PySide6.QtTest import QTest

        for key in keys:
            QTest.keySequence(into or self.page, QKeySequence(key))

    def type(self, text: str, into: QWidget) -> None:
        from PySide6.QtTest import QTest

        QTest.keyClicks(into, text)

    async def take(self, name: str, when: Callable[[], bool] | None = None) -> None:
        """when: by default, once all drafts have settled."""
        await until(when or self.settled)
        await asyncio.sleep(REST_S)  # fades have ended
        self.window.grab().save(str(self._folder / f"{name}.webp"), quality=QUALITY)

    def settled(self) -> bool:
        return bool(self.drafts.overlays) and not any(draft.develops for draft in self.drafts.overlays)

    def at_step(self, step: int) -> Callable[[], bool]:
        return lambda: (
            bool(self.drafts.overlays) and all(draft.step >= step for draft in self.drafts.overlays)
        )


async def rewriting(scene: Scene) -> None:
    scene.write(REPORT, selected=PASSAGE)
    scene.press("Ctrl+Shift+R")
    await scene.take("rephrase")
    scene.press("Ctrl+Shift+P", *["Right"] * 3, "Shift+Right", "Shift+Right", "Space", "Right", "Right")
    await scene.take("pinned-words")
    scene.press("Esc")
    scene.window.view.draft_actions.discard.trigger()


async def filling(scene: Scene) -> None:
    scene.write(REPORT + END, at="\n" + END)
    scene.press("Ctrl+Shift+B")
    await scene.take("bridge")
    scene.write(REPORT + GAPS + END, at="Customers")
    scene.press("Ctrl+Shift+G")
    await scene.take("gaps", scene.at_step(3))
    await until(scene.settled)


async def variants(scene: Scene) -> None:
    scene.write(REPORT.rstrip())
    scene.press("Ctrl+Return")
    await scene.take("variants", scene.at_step(6))
    await until(scene.settled)
    await asyncio.sleep(REST_S)
    corrections = scene.window.view.draft_actions.corrections
    scene.press("Alt+PgDown")
    corrections.trigger()
    await scene.take("corrections")
    corrections.trigger()
    scene.press("Ctrl+Right")
    await scene.take("sentence-kept")
    scene.drafts.discard_all()


async def checking(scene: Scene) -> None:
    """A word that came twice, and a month that is not from the writer's text."""
    scene.window.settings.change(seed=CHECKED_SEED)
    scene.write(LETTER)
    scene.press("Ctrl+Return")
    await scene.take("checked")
    scene.drafts.discard_all()
    scene.window.settings.change(seed=SEED)


async def looking_back(scene: Scene) -> None:
    """The history of what was drafted for the pictures before."""
    scene.press("Ctrl+Shift+H")
    drawer = scene.window.side_panel.history_drawer
    await until(lambda: len(drawer.drafts.rows) > 3)
    scene.press("Down", into=drawer.search)
    scene.press("Down", "Down", into=drawer.list)
    await scene.take("history", lambda: drawer.details.record is not None)
    scene.press("Esc", into=drawer.list)


async def telling(scene: Scene) -> None:
    """What was drafted is tinted; what a next draft would be given stands beside the text."""
    scene.write(REPORT.rstrip())
    scene.press("Ctrl+Return")
    await until(scene.settled)
    scene.window.view.commands.keep()
    scene.press("Ctrl+Shift+D", "Ctrl+Shift+I")
    await scene.take("sent", lambda: scene.window.view.sent.current is not None)
    scene.press("Ctrl+Shift+D")
    scene.window.side_panel.open_settings(False)


async def instructing(scene: Scene) -> None:
    from PySide6.QtWidgets import QApplication

    scene.write(REPORT.rstrip())
    scene.press("Ctrl+Shift+Return")
    await asyncio.sleep(REST_S)
    field = QApplication.focusWidget()
    assert field is not None
    scene.type("thank the staff, in one warm sentence", field)
    await scene.take("instruction", lambda: True)


def chat_model(home: Path) -> Path:
    """A copy of the bundled model that takes instructions, as far as the app can tell."""
    from engine.checkpoints.catalogue import resolve_model

    folder = home / "Chat model"
    shutil.copytree(resolve_model("starter")[0], folder)
    tokenizer = folder / "tokenizer_config.json"
    told = json.loads(tokenizer.read_text("utf-8"))
    tokenizer.write_text(json.dumps(told | {"chat_template": CHAT}), "utf-8")
    return folder
