"""Sets up as the app does, as a program that can be killed: `driver HOME LOCKS`. A line for each report."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from PySide6.QtCore import QCoreApplication

from app.engine_setup.home import EngineHome
from app.engine_setup.lock import lock_file, read_lock
from app.engine_setup.messages import Report, SetUpOrder
from app.engine_setup.set_up import SetUp
from tests.app.engine_setup.parts import UV, try_tiny


def main() -> None:
    application = QCoreApplication([])

    def report(one: Report) -> None:
        print(one, flush=True)

    set_up = SetUp(
        SetUpOrder(backend="cpu"),
        read_lock(lock_file("cpu", Path(sys.argv[2]))),
        EngineHome(Path(sys.argv[1])),
        try_tiny,
        report,
        threading.Event(),
        uv=UV,
        delays_s=(0.0, 0.0),
        spare_bytes=0,
    )
    thread = threading.Thread(target=lambda: report(set_up.run()))
    thread.start()
    thread.join()
    del application


if __name__ == "__main__":
    main()
