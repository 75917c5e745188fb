"""What the window tells and offers while models come and go: the first run, faults, devices, memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import msgspec
import pytest
import torch
from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QMessageBox, QPushButton, QToolButton

from app.drafting.draft_session import DraftState
from app.models.download_job import DownloadJob
from app.models.download_job import DownloadState as DownloadState
from app.models.transfer.installation import InstallRecord, write_record
from app.widgets.message_bar import MessageBar
from app.window.main_window import MainWindow
from app.window.status_bar import name_in_list, proof
from engine.checkpoints.catalogue import BUNDLED, models_folder
from engine.hardware import nvidia, selection, torch_devices
from engine.hardware.device_groups import combined_device
from engine.protocol.errors import Fault, FaultError
from engine.protocol.events import Device, Loading
from tests.app.conftest import Run
from tests.app.models.desk import CPU, RTX_3060, RTX_4090, finish_scan, install
from tests.app.window.conftest import Open, open_window, settle, window
from tests.fakes import finished, nvidia_card, ready

__all__ = ["open_window", "window"]  # fixtures


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


# ------------------------------------------------------------------ the first run


def test_the_real_model_is_offered_to_a_new_writer(window: MainWindow) -> None:
    window.start(None)
    assert window.welcome.isHidden()
    stand(window, RTX_4090, CPU)
    assert window.welcome.isVisible()
    assert "Your RTX 4090 can run DiffusionGemma 26B in 4-bit" in window.welcome.text
    assert offers(window.welcome) == ["See models", "Not now"]


def close_it(window: MainWindow) -> None:
    buttons = window.welcome.findChildren(QToolButton)
    assert len(buttons) == 1
    buttons[0].click()


def not_now(window: MainWindow) -> None:
    window.welcome.buttons[1].click()


def see_models(window: MainWindow) -> None:
    window.welcome.buttons[0].click()


@pytest.mark.parametrize("answer", [close_it, not_now, see_models])
def test_once_answered_it_never_comes_back(open_window: Open, answer: Callable[[MainWindow], None]) -> None:
    window = open_window()
    window.start(None)
    stand(window, RTX_4090, CPU)
    answer(window)
    assert window.welcome.isHidden()
    assert ("models_page" in vars(window.side_panel)) == (answer is see_models)
    later = open_window()
    later.start(None)
    stand(later, RTX_4090, CPU)
    assert later.welcome.isHidden()


def test_unanswered_it_does_not_come_again_either(open_window: Open) -> None:
    window = open_window()
    window.start(None)
    stand(window, RTX_4090, CPU)
    assert window.welcome.isVisible()
    window.welcome.hide()
    stand(window, RTX_4090, CPU)
    assert window.welcome.isHidden()
    later = open_window()
    later.start(None)
    stand(later, RTX_4090, CPU)
    assert later.welcome.isHidden()


def test_behind_another_message_it_is_not_used_up(open_window: Open) -> None:
    window = open_window()
    window.start(None)
    window.notice.show_message("A fault.")
    stand(window, RTX_4090, CPU)
    assert not window.welcome.isVisible()
    later = open_window()
    later.start(None)
    later.notice.show_message("A fault.")
    stand(later, RTX_4090, CPU)
    later.notice.hide()
    assert later.welcome.isVisible()
    last = open_window()
    last.start(None)
    stand(last, RTX_4090, CPU)
    assert last.welcome.isHidden()


def test_it_goes_when_the_models_are_seen_in_any_way(window: MainWindow) -> None:
    window.start(None)
    stand(window, RTX_4090, CPU)
    assert window.welcome.isVisible()
    window.side_panel.open_models()
    assert window.welcome.isHidden()


def test_it_does_not_come_once_the_models_were_seen(window: MainWindow) -> None:
    window.start(None)
    window.side_panel.open_models()
    stand(window, RTX_4090, CPU)
    assert window.welcome.isHidden()


def test_it_waits_for_another_start_when_an_unsaved_text_is_offered(open_window: Open) -> None:
    first = open_window()
    first.view.page.insertPlainText("Not saved.")
    first.view.document._recovery.write_now()
    first.view.document._store.submit(lambda: None).result()
    first.view.document._store._lock = None
    later = open_window()
    later.start(None)
    stand(later, RTX_4090, CPU)
    assert later.offer.isVisible()
    assert later.welcome.isHidden()
    last = open_window()
    last.start(None)
    assert not last.offer.isHidden()
    stand_beside_an_idle_card(last)


def stand_beside_an_idle_card(window: MainWindow) -> None:
    window.model.note(
        Loading(request_id="", stage="", fraction=0.0, devices=(CPU,), idle_card="It cannot be used.")
    )
    window.model.loading = None
    stand(window, CPU)
    assert window.notice.text == "It cannot be used."
    assert window.welcome.isHidden()


def test_an_idle_card_is_told_instead(window: MainWindow) -> None:
    window.start(None)
    stand_beside_an_idle_card(window)
    window.notice.hide()
    stand(window, CPU)
    assert window.notice.isHidden()


# ------------------------------------------------------------------ the page of models


def test_models_are_a_page_of_the_panel(window: MainWindow) -> None:
    window.side_panel.open_models()
    assert window.side_panel.panel.isVisible()
    assert window.side_panel.models_page.isVisible()
    assert window.side_panel.panel.geometry().left() >= window.view.page.geometry().right()
    window.side_panel.models_page.back.emit()
    assert not window.side_panel.models_page.isVisible()
    assert window.side_panel.panel.isVisible()
    window.side_panel.models_page.closed.emit()
    assert window.side_panel.panel.isHidden()


def test_downloads_begin_with_the_page_and_end_with_the_window(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DownloadJob, "start", lambda item: item.enter(DownloadState.CHECKING))
    window._settings.change(panel_open=True)
    assert "downloads" not in vars(window)
    window.side_panel.open_models()
    item = window.side_panel.downloads.download("owner/model")
    window.close()
    assert item.state is DownloadState.PAUSED


def test_what_arrived_is_used_with_one_click(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DownloadJob, "start", lambda item: item.enter(DownloadState.CHECKING))

    async def scenario() -> None:
        window.side_panel.open_models()
        item = window.side_panel.downloads.download("owner/model")
        install(item.folder)
        item.enter(DownloadState.DONE)
        item.ended.emit()
        finish_scan(window.side_panel.models_page)
        assert offers(window.notice) == ["Use it"]
        window.notice.buttons[0].click()
        assert window._settings.current.model == str(item.folder)
        await until(lambda: window.model.ready is not None)

    run(scenario())
    assert window.notice.isHidden()


def test_what_arrived_and_was_removed_since_is_not_used(window: MainWindow) -> None:
    window.side_panel.open_models()
    folder = install(models_folder() / "owner--model")
    window.side_panel.models_page.models.scan()
    finish_scan(window.side_panel.models_page)
    entry = window.side_panel.models_page.models.rows[folder].entry
    window.model_notices.show_arrived(entry)
    assert entry.local is not None
    window.side_panel.models_page.acts.remove(entry.local)
    chosen = window._settings.current
    window.notice.buttons[0].click()
    assert window._settings.current == chosen
    assert window.notice.text == "owner--model is not here any more."
    assert offers(window.notice) == ["See models"]


def test_a_download_has_one_name(window: MainWindow) -> None:
    folder = install(models_folder() / "owner--model")
    write_record(folder, InstallRecord(repo="owner/model"))
    window.side_panel.open_models()
    window.model.ready = msgspec.structs.replace(ready("1"), model=str(folder), label=folder.name)
    window.model.changed.emit()
    finish_scan(window.side_panel.models_page)
    name = window.side_panel.models_page.models.rows[folder].entry.label
    assert window.status.model.text() == f"{name} · on this computer"
    assert f"{name}  ›" in [button.text() for button in window.side_panel.panel.findChildren(QPushButton)]
    of_its_own = msgspec.structs.replace(ready("2"), model=str(BUNDLED / "starter"), label="starter")
    assert name_in_list(of_its_own) == "starter"


# ------------------------------------------------------------------ memory


def test_the_memory_is_freed_by_hand_and_the_next_draft_loads(window: MainWindow, run: Run) -> None:
    free = next(action for action in window.findChildren(QAction) if action.text() == "Free the memory now")
    assert not free.isEnabled()
    run(settle(window))
    window.view.drafts.keep()
    assert free.isEnabled()
    free.trigger()
    assert window.status.model.text() == "No model is loaded · the next draft loads it"
    assert not free.isEnabled()
    run(settle(window))
    assert window.status.model.text().endswith(" · on this computer")


def test_the_status_line_proves_what_runs_where() -> None:
    loaded = msgspec.structs.replace(
        ready("1"),
        label="DiffusionGemma 26B",
        precision="4-bit",
        device=RTX_4090,
        memory_bytes=int(17.9 * 2**30),
    )
    assert proof(loaded) == "4-bit · RTX 4090 · 17.9 of 24 GB"
    in_fp8 = msgspec.structs.replace(loaded, precision="fp8", memory_bytes=int(20.9 * 2**30))
    assert proof(in_fp8) == "8-bit · RTX 4090 · 20.9 of 24 GB"
    (two,) = combined_device((RTX_4090, RTX_4090))
    on_two = msgspec.structs.replace(loaded, device=two, memory_bytes=int(20.9 * 2**30))
    assert proof(on_two) == "4-bit · 2 × RTX 4090 · 20.9 of 48 GB"


def test_a_context_for_which_automatic_is_another_precision_loads_it(window: MainWindow, run: Run) -> None:
    card = msgspec.structs.replace(RTX_3060, total_bytes=20 << 30, free_bytes=20 << 30)

    async def scenario() -> None:
        window._settings.change(model="diffusiongemma-26b")
        loads = []
        for context in (8192, 32768, 30000, 8192):
            window.model.unload()
            window.model.ready = msgspec.structs.replace(ready("1"), device=card, precision="4-bit")
            window._settings.change(context_tokens=context)
            loads.append(window.model.ready is None)
        assert loads == [False, True, True, False]
        window.model.ready = msgspec.structs.replace(ready("1"), device=card, precision="bf16")
        window._settings.change(font_size_px=24)
        window._settings.change(precision="bf16")
        window.model.ready = msgspec.structs.replace(ready("1"), device=card, precision="bf16")
        window._settings.change(context_tokens=32768)
        assert window.model.ready is not None
        window.model.unload()

    run(scenario())


@pytest.mark.parametrize(
    ("setting", "value"), [("model", "endless"), ("device", "cpu"), ("precision", "4-bit")]
)
def test_another_model_device_or_precision_is_loaded_at_once(
    window: MainWindow, run: Run, setting: str, value: str
) -> None:
    async def scenario() -> None:
        window.view.drafts.draft()
        await until(lambda: window.view.drafts.state is DraftState.DENOISING)
        window._settings.change(**{setting: value})
        assert window.view.drafts.current is None
        assert window.model.loading is not None
        window._settings.change(font_size_px=24)
        window._settings.change(model="starter")
        await until(lambda: window.model.ready is not None)

    run(scenario())
    assert window.view.page.text() == ""


# ------------------------------------------------------------------ faults


def test_out_of_memory_offers_two_ways_out_that_do_what_they_say(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window._settings.change(model="diffusiongemma-26b", precision="bf16")
        window.model.devices = (RTX_4090, CPU)
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", "Choose less."))
        assert window.notice.text == (
            "There is not enough memory. DiffusionGemma 26B in full precision (16-bit) needs about "
            "48.6 GB; RTX 4090 had 23.0 GB free."
        )
        assert offers(window.notice) == ["Use 4-bit", "Use the starter model"]
        window.notice.buttons[0].click()
        assert window.notice.isHidden()
        assert window._settings.current.precision == "4-bit"
        assert window.model.loading is not None
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", "Choose less."))
        window.model.devices = (RTX_3060, CPU)
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", "Choose less."))
        assert offers(window.notice) == ["Use the starter model"]
        window.notice.buttons[0].click()
        assert (window._settings.current.model, window._settings.current.precision) == ("starter", "auto")
        await until(lambda: window.model.ready is not None)

    run(scenario())


def test_a_draft_that_runs_out_tells_what_is_free_now(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = nvidia_card(RTX_4090.name, RTX_4090.uuid, RTX_4090.total_bytes, 2 * 2**30)
    monkeypatch.setattr(nvidia, "nvidia_gpus", lambda: (gpu,))

    async def scenario() -> None:
        window._settings.change(model="diffusiongemma-26b", precision="4-bit")
        window.model.loading = None
        stand(window, RTX_4090, CPU)
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", "Choose less."))
        assert window.notice.text.endswith("RTX 4090 had 2.0 GB free.")

    run(scenario())


def test_a_packed_model_that_could_not_be_kept_is_told_once_for_each_load(window: MainWindow) -> None:
    for request_id in ("1", "2"):
        unsaved = msgspec.structs.replace(ready(request_id), unsaved_bytes=16_600_000_000)
        window.model.ready = unsaved
        window.model.changed.emit()
        assert window.notice.text.startswith("A smaller copy of the model (16.6 GB) could not be kept")
        window.notice.hide()
        stats = msgspec.structs.replace(finished("").stats, peak_bytes=2**40)
        window.model.note(msgspec.structs.replace(finished(""), stats=stats))
        assert window.notice.isHidden()


def test_cards_that_were_not_shown_are_a_way_out_of_the_first_load(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = RTX_3060, msgspec.structs.replace(RTX_3060, id="cuda:1", uuid="GPU-2")
    gpus = tuple(nvidia_card(card.name, card.uuid, 12 * 2**30, 12 * 2**30) for card in cards)
    monkeypatch.setattr(nvidia, "nvidia_gpus", lambda: gpus)
    monkeypatch.setattr(window.model, "reload", lambda: None)

    async def scenario() -> None:
        window._settings.change(model="diffusiongemma-26b", precision="4-bit", device=RTX_3060.uuid)
        window.model.devices = (RTX_3060, CPU)
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", "Choose less."))
        assert offers(window.notice) == ["Use the starter model"]
        await until(lambda: offers(window.notice) == ["Use 2 × RTX 3060", "Use the starter model"])

    run(scenario())


def test_trying_again_loads_or_drafts_again(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window.view.drafts.failed.emit(Fault("out-of-memory", "No memory.", ""))
        assert offers(window.notice) == ["Close other programs and try again"]
        window.notice.buttons[0].click()
        await until(lambda: window.model.ready is not None)
        assert window.view.drafts.current is None
        window.model.ready = msgspec.structs.replace(ready("1"), precision="bf16")
        window._settings.change(context_tokens=256)
        window.view.drafts.failed.emit(Fault("out-of-memory", "No memory.", ""))
        assert offers(window.notice) == ["Close other programs and try again"]
        window.notice.buttons[0].click()
        await until(lambda: window.view.drafts.state is DraftState.SETTLED)

    run(scenario())


def test_a_device_that_is_gone_is_a_choice_and_nothing_runs_elsewhere(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window._settings.change(device="GPU-7")
        window.model.unload()
        window.model.devices = (RTX_4090, CPU)
        window.view.drafts.failed.emit(
            Fault("device-missing", "There is no device “GPU-7” here.", "Choose one.")
        )
        assert window.notice.text == "The device that the settings name is not here. Choose another one."
        assert offers(window.notice) == ["Use RTX 4090", "Open the settings"]
        window.notice.buttons[1].click()
        assert window.side_panel.panel.isVisible()
        assert window._settings.current.device == "GPU-7"
        assert window.model.loading is None
        window.view.drafts.failed.emit(
            Fault("device-missing", "There is no device “GPU-7” here.", "Choose one.")
        )
        window.notice.buttons[0].click()
        assert window._settings.current.device == "GPU-4090"
        await until(lambda: window.model.ready is not None)

    run(scenario())


def test_a_fault_is_history_once_a_model_is_loaded(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window.view.drafts.failed.emit(
            Fault("device-missing", "There is no device “GPU-7” here.", "Choose one.")
        )
        assert window.notice.isVisible()
        window._settings.change(device="cpu")
        await until(lambda: window.model.ready is not None)

    run(scenario())
    assert window.notice.isHidden()


def test_other_faults_offer_nothing_new(window: MainWindow) -> None:
    window.view.drafts.failed.emit(Fault("engine-died", "It broke.", "Draft again."))
    assert window.notice.text == "It broke. Draft again."
    assert offers(window.notice) == []


def test_removing_asks_in_the_window_without_stopping_it(window: MainWindow) -> None:
    from engine.checkpoints.catalogue import GEMMA_26B

    install(GEMMA_26B.folder)
    window.side_panel.open_models()
    finish_scan(window.side_panel.models_page)
    window.side_panel.models_page.models.rows[GEMMA_26B.folder].remove.click()
    assert window.findChild(QMessageBox) is not None


def test_what_has_not_arrived_is_told_when_nobody_looks(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DownloadJob, "start", lambda item: item.enter(DownloadState.CHECKING))
    window.side_panel.open_models()
    item = window.side_panel.downloads.download("owner/model")
    window.side_panel.panel.closed.emit()
    item.fail(Fault("network", "The Hub cannot be reached.", "Check the connection."))
    assert window.notice.text == (
        "owner/model is not here yet. The Hub cannot be reached. Check the connection."
    )
    window.notice.buttons[0].click()
    assert window.side_panel.models_page.isVisible()
    assert window.notice.isHidden()


def test_a_model_that_is_gone_leaves_another_one(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window._settings.change(model="/stick/mine")
        window.view.drafts.failed.emit(Fault("input", "There is no model “/stick/mine”.", "Give a folder."))
        assert window.notice.text.endswith("connect the disk that this one lies on.")
        assert offers(window.notice) == ["Use the starter model", "See models"]
        window.notice.buttons[0].click()
        await until(lambda: window.model.ready is not None)
        window.view.drafts.failed.emit(Fault("input", "This is too long.", "Select less."))
        assert window.notice.text == "This is too long. Select less."

    run(scenario())


# ------------------------------------------------------------------ what is free now


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
    window._settings.change(panel_open=True)
    stand(window, RTX_4090, CPU)
    window.side_panel.open_models()
    assert "NVIDIA GeForce RTX 4090 · " in window.side_panel.panel.findChildren(QComboBox)[0].itemText(1)
    assert "RTX 3060" in window.side_panel.panel.findChildren(QComboBox)[0].itemText(2)
    assert threads
    assert threading.main_thread() not in threads


def test_what_is_free_is_read_while_the_panel_is_in_view(window: MainWindow) -> None:
    timer = window.devices._timer
    assert not timer.isActive()
    window.side_panel.open_models()
    assert timer.isActive()
    window.side_panel.panel.show_settings()
    assert timer.isActive()
    window._settings.change(panel_open=False)
    assert not timer.isActive()
    window.side_panel.open_models()
    window.close()
    assert not timer.isActive()


@pytest.mark.parametrize("panel_open", [False, True])
def test_a_message_is_whole_in_the_narrowest_window(window: MainWindow, panel_open: bool) -> None:
    window._settings.change(panel_open=panel_open)
    window.notice.show_message(
        "There is not enough memory.",
        "DiffusionGemma 26B in full precision (16-bit) needs about 48.6 GB; RTX 4090 had 22.9 GB free.",
        ("Close other programs and try again", window.close),
        ("Use the starter model", window.close),
    )
    QCoreApplication.processEvents()
    window.resize(1, 1)
    QCoreApplication.processEvents()
    label = window.notice._text
    assert window.width() < 900
    assert window.notice.width() < 540
    assert label.height() >= label.heightForWidth(label.width())
    for button in window.notice.buttons:
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
        window._settings.change(model="diffusiongemma-26b", device=RTX_3060.uuid)
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
        window._settings.change(device="GPU-7")
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
    label = window.notice._text
    assert label.minimumSizeHint().width() <= label.width()
    assert window.status.model.width() >= window.status.model.sizeHint().width()
