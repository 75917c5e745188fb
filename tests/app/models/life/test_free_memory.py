"""What is free now, and messages in a narrow window."""

from __future__ import annotations

import threading

import pytest
import torch
from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QComboBox, QLabel

from app.window.main_window import MainWindow
from app.worker.device_monitor import EVERY_MS
from engine.hardware import nvidia, selection, torch_devices
from engine.protocol.errors import Fault, FaultError
from engine.protocol.events import Device
from tests.app.conftest import Run
from tests.app.models.desk import CPU, RTX_3060, RTX_4090
from tests.app.models.life.conftest import offers, stand
from tests.app.timers import timer_of
from tests.app.window.conftest import settle
from tests.fakes import nvidia_card


def test_the_driver_is_never_asked_in_the_window_s_own_thread(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def gpus() -> tuple[Device, ...]:
        threads.append(threading.current_thread())
        return (nvidia_card("RTX 4090", "GPU-4090", 2, 1), nvidia_card("RTX 3060", "GPU-3060", 2, 1))

    monkeypatch.setattr(nvidia, "nvidia_gpus", gpus)
    window.start(None)
    run(settle(window))
    window.settings.change(panel_open=True)
    stand(window, RTX_4090, CPU)
    window.side_panel.open_models()
    assert "NVIDIA GeForce RTX 4090 · " in window.side_panel.panel.findChildren(QComboBox)[0].itemText(1)
    assert "RTX 3060" in window.side_panel.panel.findChildren(QComboBox)[0].itemText(2)
    assert threads
    assert threading.main_thread() not in threads


def test_what_is_free_is_read_while_the_panel_is_in_view(window: MainWindow) -> None:
    timer = timer_of(window.devices, EVERY_MS)
    assert not timer.isActive()
    window.side_panel.open_models()
    assert timer.isActive()
    window.side_panel.panel.show_settings()
    assert timer.isActive()
    window.settings.change(panel_open=False)
    assert not timer.isActive()
    window.side_panel.open_models()
    window.close()
    assert not timer.isActive()


@pytest.mark.parametrize("panel_open", [False, True])
def test_a_message_is_whole_in_the_narrowest_window(window: MainWindow, panel_open: bool) -> None:
    window.settings.change(panel_open=panel_open)
    window.notice.show_message(
        "There is not enough memory.",
        "DiffusionGemma 26B in full precision needs about 48.6 GB; RTX 4090 had 22.9 GB free.",
        ("Close other programs and try again", window.close),
        ("Use the starter model", window.close),
    )
    QCoreApplication.processEvents()
    window.resize(1, 1)
    QCoreApplication.processEvents()
    label = window.notice.findChild(QLabel)
    assert label is not None
    assert window.width() < 900
    assert window.notice.width() < 540
    assert label.height() >= label.heightForWidth(label.width())
    shown = [button for button in window.notice.buttons if not button.isHidden()]
    assert len(shown) == 2
    for button in shown:
        assert button.width() >= button.sizeHint().width()
        assert button.visibleRegion().boundingRect() == button.rect()


def test_what_was_free_is_what_the_engine_saw_and_hidden_cards_count(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = [
        nvidia_card(RTX_3060.name, RTX_3060.uuid, 12 << 30, 1 << 30),  # full now
        nvidia_card(RTX_3060.name, "GPU-2", 12 << 30, 11 << 30),
    ]
    monkeypatch.setattr(nvidia, "nvidia_gpus", lambda: tuple(gpus))
    stand(window, RTX_3060, CPU)

    async def scenario() -> None:
        window.settings.change(model="diffusiongemma-26b", device=RTX_3060.uuid)
        window.model.unload()
        window.model.devices = (RTX_3060, CPU)
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", ""))
        assert "RTX 3060 had 10.5 GB free" in window.notice.text
        assert offers(window.notice) == ["Use 2 × RTX 3060", "Use the starter model"]

    run(scenario())


def test_why_pytorch_cannot_use_the_chosen_card_is_told(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_devices, "nvidia_gpus", lambda: (nvidia_card("RTX 4090", "GPU-7", 2, 1),))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(FaultError) as raised:
        selection.resolve_device("GPU-7", (CPU,))
    window.model.idle_card = torch_devices.idle_card()

    async def scenario() -> None:
        window.settings.change(device="GPU-7")
        window.model.unload()
        window.model.devices = (CPU,)
        window.view.drafts.failed.emit(raised.value.fault)

    run(scenario())
    assert window.notice.text.startswith("The device that the settings name is not here. This computer has")
    assert "python3 packaging/dev.py run" in window.notice.text
    assert "cpu (" not in window.notice.text


def test_after_a_failed_load_the_next_draft_tries_again(window: MainWindow) -> None:
    window.model.fault = Fault("bug", "It broke.")
    window.model.changed.emit()
    assert window.status.model.text() == "No model is loaded · the next draft tries again"


def test_long_words_leave_the_window_its_width(window: MainWindow) -> None:
    window.resize(560, 500)
    window.status.model.setText("someone/a-diffusion-model-with-a-long-name · on this computer")
    window.status.state.setText("waiting for the model " * 3)
    path = f"/home/writer/{'x' * 120}.md"
    window.notice.show_message(f"“{path}” cannot be opened.")
    QCoreApplication.processEvents()
    assert window.width() == 560
    assert path in window.notice.text
    label = window.notice.findChild(QLabel)
    assert label is not None
    assert label.minimumSizeHint().width() <= label.width()
    assert window.status.model.width() >= window.status.model.sizeHint().width()
