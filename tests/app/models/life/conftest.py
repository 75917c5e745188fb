"""A window beside scripted devices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from PySide6.QtCore import QCoreApplication

from app.widgets.message_bar import MessageBar
from app.window.main_window import MainWindow
from engine.hardware import nvidia
from engine.protocol.events import Device
from tests.app.window.conftest import lose, open_window, runs, window
from tests.fakes import ready

__all__ = ["lose", "open_window", "runs", "window"]  # fixtures


@pytest.fixture(autouse=True)
def no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(nvidia, "nvidia_gpus", lambda: ())


def stand(window: MainWindow, *devices: Device) -> None:
    """As if a model had been loaded on the first of the devices, and what is free had been read."""
    window.model.devices = devices
    window.model.ready = msgspec.structs.replace(ready("1"), device=devices[0])
    window.model.changed.emit()
    assert window.devices.call.busy
    for call in (window.devices.call, window.model_notices.offer_call):
        call.join(60)
        QCoreApplication.sendPostedEvents(call)


def offers(notice: MessageBar) -> list[str]:
    return [button.text() for button in notice.buttons if not button.isHidden()]


async def until(reached: Callable[[], bool]) -> None:
    while not reached():
        await asyncio.sleep(0.002)
