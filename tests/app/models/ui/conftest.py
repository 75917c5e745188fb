"""The page of models on a desk of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.models.download_job import DownloadJob, DownloadState
from app.models.download_queue import DownloadQueue
from app.models.ui.models_page import ModelsPage
from app.settings.store import SettingsStore
from app.worker.device_monitor import DeviceMonitor, MemorySnapshot
from tests.app.models.desk import (
    GIB,
    Desk,
    FakeModel,
    finish_scan,
)


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(DownloadJob, "start", lambda item: item.enter(DownloadState.CHECKING))
    monkeypatch.setattr(DeviceMonitor, "poll", lambda _watch: None)
    roomy = shutil.disk_usage("/")._replace(free=500_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: roomy)
    store, model, downloads = SettingsStore(tmp_path / "settings.json"), FakeModel(), DownloadQueue()
    devices = DeviceMonitor(model, model)  # type: ignore[arg-type]
    page = ModelsPage(store, model, devices, downloads, 300)  # type: ignore[arg-type]
    desk = Desk(page, store, model, devices, downloads)
    asked = downloads.download

    def download(repo: str, token: str = "", *, probe: bool = False) -> DownloadJob:
        desk.asked.append(f"probe: {repo}" if probe else repo)
        return asked(repo, token, probe=probe)

    monkeypatch.setattr(downloads, "download", download)
    qtbot.addWidget(page)
    page.resize(300, 900)
    page.show()
    finish_scan(page)
    yield desk
    downloads.close()


def read(desk: Desk, **free_gib: float) -> None:
    """As if the watch had just read what is free, with what is loaded now."""
    free = {name.replace("_", "-"): int(gib * GIB) for name, gib in free_gib.items()}
    desk.devices.call.returned.emit(MemorySnapshot(desk.model.ready, (), free))
