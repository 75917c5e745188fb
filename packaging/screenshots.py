"""Takes the pictures of the README: `screenshots.py DIR [--scale 2] [--theme dark]`.

The bundled model drafts once, in a process of its own; the real window then shows that draft step by step,
slowly enough to take each picture at the same step every time.
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

ROOT = Path(__file__).resolve().parent.parent
VENV_PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
sys.path.insert(0, str(ROOT))

LETTER = (
    "Dear Clara,\n\nThank you for your long letter. We were so glad to hear that you have settled in, and "
    "the photograph of the harbour stands on the kitchen shelf."
)
SEED = 42
WIDTH, HEIGHT = 1180, 780
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
    import qasync
    from PySide6.QtGui import QTextCursor

    from app.application import make_application
    from app.documents.recovery import RecoveryStore
    from app.drafting.draft_session import DraftState
    from app.settings.store import SettingsStore, default_path
    from app.window.main_window import MainWindow
    from app.worker.engine_thread import EngineThread
    from engine.runtime.replay_engine import ReplayEngine

    application = make_application(["mezzotint"])
    application.setCursorFlashTime(0)
    settings, recovery = SettingsStore(default_path()), RecoveryStore()
    settings.change(theme=theme, reduced_motion="off", offered=True)
    worker = EngineThread(lambda: ReplayEngine(trace, PACE_S))
    letter = home / "Letter to Clara.md"
    letter.write_text(LETTER, "utf-8")

    async def pictures(window: MainWindow) -> None:
        drafts, model = window.view.drafts, window.model

        async def take(name: str, when: Callable[[], bool] = lambda: True) -> None:
            while not when():
                await asyncio.sleep(0.01)
            await asyncio.sleep(PACE_S / 2)  # fades have ended, the next step has not come
            window.grab().save(str(folder / f"{name}.png"))

        window.files.open_path(letter)
        window.view.page.moveCursor(QTextCursor.MoveOperation.End)
        model.load()
        while model.ready is None:
            await asyncio.sleep(0.01)
        drafts.draft()
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
        drafts.keep()
        await asyncio.sleep(1.0)  # the words are counted a moment later
        await take("kept")
        window.view.page.document().setModified(False)
        await drafts.close()
        await model.close()

    with qasync.QEventLoop(application) as loop:
        window = MainWindow(settings, worker, recovery)
        window.resize(WIDTH, HEIGHT)
        window.show()
        worker.start()
        loop.run_until_complete(pictures(window))
        window.close()
        worker.close()
        recovery.close()


if __name__ == "__main__":
    sys.exit(main())
