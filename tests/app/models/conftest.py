"""The Hub on 127.0.0.1, and the real client turned to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from app.models.transfer.disk_space import SPARE_BYTES
from app.models.transfer.messages import HubOrder
from engine.checkpoints.catalogue import models_folder
from tests.app.models.hub_server import REPO, Hub


@pytest.fixture(autouse=True)
def own_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the process that downloads, whatever was imported before. This machine's proxies are off."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    close_session()
    yield
    close_session()


@pytest.fixture
def room(tmp_path: Path) -> None:
    """In this process and in those that it starts."""
    if shutil.disk_usage(tmp_path).free < 1.1 * SPARE_BYTES:
        pytest.skip("what downloads and imports leaves 1 GB free, and this disk has less (see --basetemp)")


@pytest.fixture
def hub(room: None) -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture
def order() -> HubOrder:
    return HubOrder(folder=str(models_folder() / "gemma"), repo=REPO)


@pytest.fixture
def folder(order: HubOrder) -> Path:
    return Path(order.folder)
