"""A queue of downloads, and how to wait for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.models.download_job import DownloadJob, DownloadState
from app.models.download_queue import DownloadQueue
from app.models.transfer import installation
from engine.checkpoints.catalogue import models_folder
from tests.app.models.hub_server import REPO, WEIGHTS, Hub

TIMEOUT_MS = 60_000


ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def endpoint(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)


@pytest.fixture
def downloads(qtbot: QtBot) -> Iterator[DownloadQueue]:
    downloads = DownloadQueue()
    yield downloads
    downloads.close()


@pytest.fixture
def folder() -> Path:
    return models_folder() / REPO.replace("/", "--")


def until(qtbot: QtBot, item: DownloadJob, *states: DownloadState) -> None:
    qtbot.waitUntil(lambda: item.state in states, timeout=TIMEOUT_MS)


def until_gone(qtbot: QtBot, item: DownloadJob) -> None:
    qtbot.waitUntil(lambda: not item.has_process, timeout=TIMEOUT_MS)


def until_stalled(qtbot: QtBot, hub: Hub, item: DownloadJob, done_bytes: int) -> None:
    """So many bytes of the weights are here; what is told may be a moment behind."""
    qtbot.waitUntil(hub.stalled.is_set, timeout=TIMEOUT_MS)
    weights = installation.partial(item.folder) / WEIGHTS
    qtbot.waitUntil(lambda: weights.exists() and weights.stat().st_size == done_bytes, timeout=TIMEOUT_MS)
    hub.stalled.clear()
    until(qtbot, item, DownloadState.DOWNLOADING)
