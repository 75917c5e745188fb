"""The engine's home of a test, tiny wheels for it, and where they come from."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from app.engine_setup.home import EngineHome
from app.engine_setup.lock import Lock
from app.engine_setup.messages import Ended, Report, SetUpOrder
from app.engine_setup.set_up import SetUp
from tests.app.engine_setup.parts import UV, Server, make_lock, make_wheels, try_tiny

ODD = "ä b%20"
"""In the paths: what a naive address or command line trips over."""


@pytest.fixture(autouse=True)
def own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that runs the tests is found first; this machine's proxies are off."""
    monkeypatch.setenv("PATH", os.pathsep.join((f"{sys.base_prefix}/bin", os.environ["PATH"])))
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / f"wheels {ODD}"
    make_wheels(folder)
    return folder


@pytest.fixture
def server(wheels: Path) -> Iterator[Server]:
    server = Server(wheels)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def lock(wheels: Path, server: Server) -> Lock:
    return make_lock(wheels, server.address)


@pytest.fixture
def home(tmp_path: Path) -> EngineHome:
    return EngineHome(tmp_path / f"home {ODD}" / "engine")


class Machine:
    """Tries to set up, in a thread as the app does."""

    def __init__(self, home: EngineHome, lock: Lock) -> None:
        self.home, self.lock = home, lock
        self.order = SetUpOrder(backend="cpu")
        self.options: dict[str, Any] = {"uv": UV, "delays_s": (0.0, 0.0, 0.0), "spare_bytes": 0}
        self.trial = try_tiny
        self.cancelled = threading.Event()
        self.reports: list[Report] = []
        self.on_report: Callable[[Report], object] = lambda _: None

    def __call__(self) -> Ended:
        ended: list[Ended] = []

        def report(one: Report) -> None:
            self.reports.append(one)
            self.on_report(one)

        set_up = SetUp(self.order, self.lock, self.home, self.trial, report, self.cancelled, **self.options)
        thread = threading.Thread(target=lambda: ended.append(set_up.run()))
        thread.start()
        thread.join()
        return ended[0]


@pytest.fixture
def set_up(home: EngineHome, lock: Lock, qapp: QApplication) -> Machine:
    return Machine(home, lock)
