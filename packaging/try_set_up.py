"""Set the real engine up in a folder of its own, and draft a paragraph: `try_set_up.py [--wheels DIR]`.

Slow: it fetches and installs PyTorch. Needs no display; what the user has set up stays as it is. uv is that
of the environment that runs this. --wheels: from that folder in place of the network.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import uv

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, it finds its own folder only

from PySide6.QtCore import QCoreApplication

from app.engine_setup.home import EngineHome
from app.engine_setup.lock import parts_of
from app.engine_setup.messages import Ended, Progress, Report, SetUpOrder, Waiting
from app.engine_setup.set_up import SetUp
from app.engine_setup.trial import draft_a_paragraph
from engine.hardware.backend import BUILDS, find_backend


def main() -> int:
    parser = argparse.ArgumentParser(description="Set the built app's engine up, and draft with it.")
    parser.add_argument("--backend", choices=list(BUILDS), help="the one that suits this machine if none")
    parser.add_argument("--wheels", default="", help="a folder of wheels, in place of the network")
    parser.add_argument("--python-mirror", default="", help="in place of where uv's Python comes from")
    parser.add_argument("--keep", type=Path, help="where to set it up; a folder that goes again if none")
    options = parser.parse_args()
    QCoreApplication([])
    backend = options.backend or find_backend()
    with tempfile.TemporaryDirectory() as folder:
        home = EngineHome(options.keep or Path(folder, "engine"))
        order = SetUpOrder(backend=backend, folder=options.wheels, python_mirror=options.python_mirror)
        program = Path(uv.find_uv_bin())
        set_up = SetUp(
            order, parts_of(backend), home, draft_a_paragraph, Show(), threading.Event(), uv=program
        )
        ended: list[Ended] = []
        thread = threading.Thread(target=lambda: ended.append(set_up.run()))
        thread.start()
        thread.join()
        print(f"{ended[0]}\n{home.active}: {home.size_bytes() / 1e6:,.0f} MB")
        return int(not ended[0].done)


class Show:
    """Prints a stage when it begins, and what it has come to after each second."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()
        self._stage = ""

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if isinstance(report, Progress) and report.stage == self._stage and now - self._told < 1:
            return
        self._told, self._stage = now, getattr(report, "stage", self._stage)
        text = report.message if isinstance(report, Waiting) else report
        print(f"{now - self._began:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
