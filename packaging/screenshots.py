"""Takes the pictures of the README: `screenshots.py DIR [--scale 2] [--theme dark]`.

The bundled model drafts once, in a process of its own; the real window then shows that draft step by step,
slowly enough to take each picture at the same step every time. For the animation of a passage that is drafted
anew the model runs behind the window, as it does for the writer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import canvas_pictures
from picture_window import Film, in_window, until

if TYPE_CHECKING:
    from app.settings.store import SettingsStore
    from app.window.main_window import MainWindow

ROOT = Path(__file__).resolve().parent.parent
VENV_PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
sys.path.insert(0, str(ROOT))

LETTER = (
    "Dear Clara,\n\nThank you for your long letter. We were so glad to hear that you have settled in, and "
    "the photograph of the harbour stands on the kitchen shelf."
)
REPORT = (
    "Quarterly report\n\nThe workshop was closed for two weeks in March while the roof was being repaired. "
    "The number of complaints went down by ten percent, while income remained stable. The largest change was "
    "seen in the design department, where the figures doubled."
)
PASSAGE = "The number of complaints went down by ten percent, while income remained stable."
SEED = 42
PACE_S = 0.4
DEVELOPING = 0.2
"""Share of the steps after which the picture of a developing draft is taken."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Take the README's pictures of the real window.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the pictures go")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="pixels of the picture for each of the window's"
    )
    parser.add_argument("--theme", choices=["light", "dark", "sepia"], default="light")
    options = parser.parse_args()
    if Path(sys.prefix) != ROOT / ".venv" and VENV_PYTHON.exists():
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), *sys.argv])
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        prepare(Path(home), options.scale)
        trace = Path(home) / "draft.jsonl"
        steps = record(trace)
        photograph(trace, steps, Path(home), options.folder, options.theme)
        animate(options.folder, options.theme)
        animate_replay(trace, options.folder, options.theme)
        canvas_pictures.take_all(Path(home), options.folder / "canvas", options.theme)
    return 0


def prepare(home: Path, scale: float) -> None:
    """Settings and files of its own, before Qt is there; no display needed."""
    from system import has_display

    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())
    os.environ["QT_SCALE_FACTOR"] = str(scale)
    if not has_display():
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def record(trace: Path) -> int:
    """Let the bundled model draft as the app would ask it to; the number of steps that took."""
    from app.editor.join import TextContext
    from app.settings.schema import Settings
    from engine.protocol.codec import encode
    from engine.protocol.events import Failed, Finished
    from engine.protocol.requests import DraftPlace, DraftRequest, LoadRequest
    from engine.runtime.process_engine import ProcessEngine

    around = TextContext(LETTER, "")
    before = LETTER + around.join.lead(around)
    load = LoadRequest(request_id="picture", model="starter", device="cpu")
    draft = DraftRequest(
        request_id="picture",
        places=(DraftPlace(before=before),),
        seed=SEED,
        context_tokens=Settings().context_tokens,
    )
    engine, never, steps = ProcessEngine(), threading.Event(), 0
    with trace.open("wb") as file:
        for events in (engine.load(load, never), engine.draft(draft, never)):
            for event in events:
                file.write(encode(event))
                if isinstance(event, Failed):
                    raise SystemExit(f"The model could not draft: {event.message}")
                if isinstance(event, Finished):
                    print(event.text)
                    steps = event.stats.steps
    engine.close()
    return steps


def photograph(trace: Path, steps: int, home: Path, folder: Path, theme: str) -> None:
    from PySide6.QtGui import QTextCursor

    from app.drafting.draft_session import DraftState
    from engine.runtime.replay_engine import ReplayEngine

    letter = home / "Letter to Clara.md"
    letter.write_text(LETTER, "utf-8")

    async def pictures(window: MainWindow, settings: SettingsStore) -> None:
        drafts, commands = window.view.drafts, window.view.commands

        async def take(name: str, when: Callable[[], bool] = lambda: True) -> None:
            await until(when)
            await asyncio.sleep(PACE_S / 2)  # fades have ended, the next step has not come
            window.grab().save(str(folder / f"{name}.png"))

        window.files.open_path(letter)
        window.view.page.moveCursor(QTextCursor.MoveOperation.End)
        window.model.load()
        await until(lambda: window.model.ready is not None)
        commands.draft()
        await take("noise", lambda: drafts.state is DraftState.DENOISING)
        await take(
            "developing", lambda: drafts.current is not None and drafts.current.step >= DEVELOPING * steps
        )
        await take("settled", lambda: drafts.state is DraftState.SETTLED)
        settings.change(panel_open=True)
        await take("settings")
        window.side_panel.open_models()
        await take("models", lambda: bool(window.side_panel.models_page.models.rows))
        window.side_panel.panel.show_settings()
        settings.change(panel_open=False)
        commands.keep()
        await asyncio.sleep(1.0)  # the words are counted a moment later
        await take("kept")

    in_window(lambda: ReplayEngine(trace, PACE_S), theme, pictures)


def animate(folder: Path, theme: str) -> None:
    """A passage is drafted anew, and kept."""
    from PySide6.QtGui import QTextCursor

    from app.documents.text import set_document_text
    from app.drafting.draft_session import DraftState
    from app.drafting.verbs import REPHRASE
    from engine.runtime.process_engine import ProcessEngine

    film = Film()

    async def shoot(window: MainWindow, settings: SettingsStore) -> None:
        page, drafts = window.view.page, window.view.drafts
        settings.change(seed=SEED)
        set_document_text(page.document(), REPORT)
        window.model.load()
        await until(lambda: window.model.ready is not None)
        start = REPORT.index(PASSAGE)
        cursor = QTextCursor(page.document())
        cursor.setPosition(start)
        cursor.setPosition(start + len(PASSAGE), QTextCursor.MoveMode.KeepAnchor)
        page.setTextCursor(cursor)
        await film.roll(window, 1.0)
        window.view.commands.redraft_selection(REPHRASE)
        while drafts.state is not DraftState.SETTLED:
            await film.roll(window)
        await film.roll(window, 2.5)
        window.view.commands.keep()
        await film.roll(window, 1.5)

    in_window(ProcessEngine, theme, shoot)
    film.save(folder / "rephrase.webp")


def animate_replay(trace: Path, folder: Path, theme: str) -> None:
    """A settled draft is replayed, led back by hand, and is settled again."""
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QTextCursor
    from PySide6.QtTest import QTest

    from app.documents.text import set_document_text
    from app.drafting.draft_session import DraftState
    from engine.runtime.replay_engine import ReplayEngine

    film = Film()

    async def shoot(window: MainWindow, settings: SettingsStore) -> None:  # noqa: ARG001
        view = window.view
        set_document_text(view.page.document(), LETTER)
        view.page.moveCursor(QTextCursor.MoveOperation.End)
        window.model.load()
        await until(lambda: window.model.ready is not None)
        view.commands.draft()
        await until(lambda: view.drafts.state is DraftState.SETTLED)
        await asyncio.sleep(1.0)
        await film.roll(window, 0.8)
        view.draft_actions.replay.trigger()
        while view.replay.replay and view.replay.replay.plays:
            await film.roll(window)
        await film.roll(window, 1.2)
        timeline = view.replay.bar.controls.timeline
        for key in (Qt.Key.Key_Home, *[Qt.Key.Key_Right] * 5):
            QTest.keyClick(timeline, key)
            await film.roll(window, 0.5)
        QTest.keyClick(timeline, Qt.Key.Key_Escape)
        await film.roll(window, 1.6)

    in_window(lambda: ReplayEngine(trace), theme, shoot)
    film.save(folder / "replay.webp")


if __name__ == "__main__":
    sys.exit(main())
