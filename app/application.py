"""Parse the command line, wire the application, run it."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from app.crash_handler import report_faults
from app.documents.recovery import RecoveryStore
from app.garbage_collector import GarbageCollector
from app.settings.store import SettingsStore, default_path
from app.support.log_file import log_folder, log_to
from app.support.run_record import RunRecord, lost_run
from app.system_end import SystemEnd
from app.widgets import resources
from app.widgets.theme import ui_font
from app.window.main_window import MainWindow
from app.window.single_instance import SingleInstance, hand_over
from app.worker.engine_thread import EngineThread
from engine.installation import FROZEN
from engine.protocol.engine import Engine
from engine.runtime.process_engine import ProcessEngine

if TYPE_CHECKING:
    import asyncio


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mezzotint", description="A writing assistant that drafts a paragraph at once."
    )
    parser.add_argument("file", nargs="?", type=Path, help="a text or Markdown file to open or to begin")
    parser.set_defaults(in_thread=False)
    if not FROZEN:  # the built app holds no torch
        parser.add_argument(
            "--in-thread", action="store_true", help="run the engine in a thread instead of a process"
        )
    parser.add_argument("--model", metavar="NAME|DIR", help="a known model or a folder that holds one")
    parser.add_argument("--device", help="auto, cpu, cuda:0, mps, …")
    parser.add_argument(
        "--remove-data", action="store_true", help="list what Mezzotint keeps here, and ask what to remove"
    )
    return parser.parse_args(arguments)


def open_local_engine() -> Engine:
    """The engine in the worker thread itself: brings torch into this process."""
    from engine.runtime.local_engine import LocalEngine

    return LocalEngine()


def offer_input_methods() -> None:
    """Qt has no plugin for fcitx, but fcitx answers to the one for ibus, as ibus itself does in a sandbox."""
    asked = os.environ.get("QT_IM_MODULES") or os.environ.get("QT_IM_MODULE") or ""
    if "fcitx" in asked:
        os.environ["QT_IM_MODULES"] = f"{asked};ibus"
        os.environ["IBUS_USE_PORTAL"] = "1"


def make_application(arguments: list[str]) -> QApplication:
    offer_input_methods()
    app = QApplication([*arguments, "-style", "fusion"])  # setStyle() would return a style, slow to wrap
    app.setApplicationName("Mezzotint")
    app.setDesktopFileName("mezzotint")
    app.setWindowIcon(QIcon(str(resources.APP_ICON)))
    app.setQuitOnLastWindowClosed(False)  # start() ends the loop, once the engine and the recovery are closed
    resources.load_fonts()
    app.setFont(ui_font())
    return app


async def _until(
    closed: asyncio.Event,
    window: MainWindow,
    worker: EngineThread,
    recovery: RecoveryStore,
    record: RunRecord,
) -> None:
    await closed.wait()
    await window.view.sent.close()
    await window.view.drafts.close()
    await window.model.close()
    ended = worker.close()
    recovery.close()
    window.history.close()
    if not ended:  # a step that hangs inside this process cannot be ended in another way
        record.close()
        os._exit(1)


def start() -> int:
    options = parse(sys.argv[1:])
    if options.remove_data:
        from app.support.removal_command import remove_data

        return remove_data(partial(make_application, sys.argv[:1]))
    log_to(log_folder())
    app = make_application(sys.argv[:1])
    chosen = {name: value for name in ("model", "device") if (value := getattr(options, name)) is not None}
    starts_anew = bool(chosen or options.in_thread)
    if not starts_anew and hand_over(options.file):
        return 0
    with RunRecord(log_folder() / "runs") as record:
        window = _run(app, record, options, chosen, alone=starts_anew)
    if window.removal.chosen:
        from app.support.removal_dialog import remove_and_tell

        remove_and_tell(window.removal.chosen)
    return 0


def _run(
    app: QApplication, record: RunRecord, options: argparse.Namespace, chosen: dict[str, Any], *, alone: bool
) -> MainWindow:
    """→ the window, closed. alone: no later start hands its file to this one."""
    settings = SettingsStore(default_path(), **chosen)
    recovery = RecoveryStore()
    worker = EngineThread(open_local_engine if options.in_thread else ProcessEngine)
    window = MainWindow(settings, worker, recovery)
    window.show()
    # The window is painted before what it is not drawn with is imported.
    app.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents, 50)  # ms at the most
    import asyncio

    import qasync

    from app.support.newer_data import NewerDataNotice
    from app.window.help_menu import open_page

    with qasync.QEventLoop(app) as loop:
        report_faults(loop, window.notice.show_message)
        closed = asyncio.Event()
        window.closed.connect(closed.set)
        SystemEnd(app, window, record)
        GarbageCollector(window)
        worker.start()
        if not alone:
            window.closed.connect(SingleInstance(window.take, window).close)
        lost = lost_run(record.folder)
        QTimer.singleShot(0, window, partial(window.start, options.file, lost))  # a fault of it is told
        if settings.set_aside:  # told last: a file that opens takes an earlier message away
            QTimer.singleShot(0, window, partial(window.notice.show_fault, settings.set_aside))
        NewerDataNotice(window.notice, ("Look for a new version", open_page), window)
        QTimer.singleShot(0, window.model, window.model.load)
        loop.run_until_complete(_until(closed, window, worker, recovery, record))
    return window
