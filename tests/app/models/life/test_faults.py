"""What is told when a model does not load or draft, and the ways out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest
from PySide6.QtWidgets import QMessageBox

from app.drafting.draft_session import DraftState
from app.models.download_job import DownloadJob, DownloadState
from app.models.remedies import of_slow_steps
from app.window.main_window import MainWindow
from app.worker.model_session import KEPT_FREE_BYTES
from app.worker.step_pace import Slowdown
from engine.hardware import nvidia
from engine.hardware.device_groups import combined_device
from engine.protocol.errors import Fault
from engine.protocol.events import Device, LoadEvent
from engine.protocol.requests import LoadRequest
from tests.app.conftest import Run
from tests.app.models.desk import CPU, RTX_3060, RTX_4090, finish_scan, install
from tests.app.models.life.conftest import offers, stand, until
from tests.fakes import FakeEngine, finished, frame, nvidia_card, ready


def test_out_of_memory_offers_two_ways_out_that_do_what_they_say(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window.settings.change(model="diffusiongemma-26b", precision="bf16")
        window.model.devices = (RTX_4090, CPU)
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", "Choose less."))
        assert window.notice.text == (
            "There is not enough memory. DiffusionGemma 26B in full precision needs about "
            "48.6 GB; RTX 4090 had 23.0 GB free."
        )
        assert offers(window.notice) == ["Use 4-bit", "Use the starter model"]
        window.notice.buttons[0].click()
        assert window.notice.isHidden()
        assert window.settings.current.precision == "4-bit"
        assert window.model.loading is not None
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", "Choose less."))
        window.model.devices = (RTX_3060, CPU)
        window.view.drafts.failed.emit(Fault("out-of-memory", "There is not enough memory.", "Choose less."))
        assert offers(window.notice) == ["Use the starter model"]
        window.notice.buttons[0].click()
        assert (window.settings.current.model, window.settings.current.precision) == ("starter", "auto")
        await until(lambda: window.model.ready is not None)

    run(scenario())


def test_a_draft_that_runs_out_tells_what_is_free_now(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = nvidia_card(RTX_4090.name, RTX_4090.uuid, RTX_4090.total_bytes, 2 * 2**30)
    monkeypatch.setattr(nvidia, "nvidia_gpus", lambda: (gpu,))

    async def scenario() -> None:
        window.settings.change(model="diffusiongemma-26b", precision="4-bit")
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


def test_a_card_that_its_driver_empties_is_told_once_and_keeps_less_in_the_next_load(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[LoadRequest] = []
    load = FakeEngine.load

    def noted(engine: FakeEngine, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        asked.append(request)
        return load(engine, request, cancelled)

    monkeypatch.setattr(FakeEngine, "load", noted)
    streams = {"memory_bytes": 16 * 2**30, "streamed_bytes": 11 * 2**30, "precision": "4-bit"}

    def draft(step_s: float, request_id: str) -> None:
        for step in range(12):
            fresh = msgspec.structs.replace(frame(request_id, step), elapsed_s=step * step_s)
            window.model.note(fresh)

    async def scenario() -> None:
        on_card = msgspec.structs.replace(ready("1"), device=RTX_3060, **streams)
        window.model.note(on_card)
        draft(1.0, "1")
        assert window.notice.isHidden()
        draft(3.0, "2")
        assert window.notice.text.startswith("Drafting is slow: a step takes 3.0 s in place of 1.0.")
        assert "RTX 3060" in window.notice.text
        assert offers(window.notice) == ["Load it again"]
        window.notice.hide()
        draft(3.0, "3")
        assert window.notice.isHidden()
        assert window.devices.now(RTX_3060).kept_free_bytes == KEPT_FREE_BYTES
        window.model.slowed.emit(Slowdown(3.0, 1.0))
        window.notice.buttons[0].click()
        await until(lambda: bool(asked))
        assert asked[-1].kept_free_bytes == KEPT_FREE_BYTES
        await until(lambda: window.model.ready is not None)

    run(scenario())


@pytest.mark.parametrize(
    ("precision", "device", "tighter", "ways"),
    [
        ("4-bit", RTX_3060, True, ["Load it again"]),
        ("4-bit-tight", RTX_3060, False, ["Load it again"]),
        ("bf16", RTX_4090, True, []),
        ("4-bit", combined_device((RTX_3060, RTX_4090))[0], True, []),
    ],
)
def test_a_slow_card_is_told_what_helps_it(
    precision: str, device: Device, tighter: bool, ways: list[str]
) -> None:
    loaded = msgspec.structs.replace(ready("1"), device=device, precision=precision)
    found = of_slow_steps(Slowdown(3.0, 1.0), loaded)
    assert ("tighter" in found.reason) is tighter
    assert ("next load" in found.reason) is bool(ways)
    assert [way.label for way in found.ways] == ways


def test_short_steps_are_told_in_figures_that_differ() -> None:
    found = of_slow_steps(Slowdown(0.12, 0.04), msgspec.structs.replace(ready("1"), device=RTX_4090))
    assert all(figure in found.message for figure in ("0.12", "0.04"))


def test_cards_that_were_not_shown_are_a_way_out_of_the_first_load(
    window: MainWindow, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = RTX_3060, msgspec.structs.replace(RTX_3060, id="cuda:1", uuid="GPU-2")
    gpus = tuple(nvidia_card(card.name, card.uuid, 12 * 2**30, 12 * 2**30) for card in cards)
    monkeypatch.setattr(nvidia, "nvidia_gpus", lambda: gpus)
    monkeypatch.setattr(window.model, "reload", lambda: None)

    async def scenario() -> None:
        window.settings.change(model="diffusiongemma-26b", precision="4-bit", device=RTX_3060.uuid)
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
        window.settings.change(context_tokens=256)
        window.view.drafts.failed.emit(Fault("out-of-memory", "No memory.", ""))
        assert offers(window.notice) == ["Close other programs and try again"]
        window.notice.buttons[0].click()
        await until(lambda: window.view.drafts.state is DraftState.SETTLED)

    run(scenario())


def test_a_device_that_is_gone_is_a_choice_and_nothing_runs_elsewhere(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window.settings.change(device="GPU-7")
        window.model.unload()
        window.model.devices = (RTX_4090, CPU)
        window.view.drafts.failed.emit(
            Fault("device-missing", "There is no device “GPU-7” here.", "Choose one.")
        )
        assert window.notice.text == "The device that the settings name is not here. Choose another one."
        assert offers(window.notice) == ["Use RTX 4090", "Open the settings"]
        window.notice.buttons[1].click()
        assert window.side_panel.panel.isVisible()
        assert window.settings.current.device == "GPU-7"
        assert window.model.loading is None
        window.view.drafts.failed.emit(
            Fault("device-missing", "There is no device “GPU-7” here.", "Choose one.")
        )
        window.notice.buttons[0].click()
        assert window.settings.current.device == "GPU-4090"
        await until(lambda: window.model.ready is not None)

    run(scenario())


def test_a_fault_is_history_once_a_model_is_loaded(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window.view.drafts.failed.emit(
            Fault("device-missing", "There is no device “GPU-7” here.", "Choose one.")
        )
        assert window.notice.isVisible()
        window.settings.change(device="cpu")
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
        window.settings.change(model="/stick/mine")
        window.view.drafts.failed.emit(Fault("input", "There is no model “/stick/mine”.", "Give a folder."))
        assert window.notice.text.endswith("connect the disk that this one lies on.")
        assert offers(window.notice) == ["Use the starter model", "See models"]
        window.notice.buttons[0].click()
        await until(lambda: window.model.ready is not None)
        window.view.drafts.failed.emit(Fault("input", "This is too long.", "Select less."))
        assert window.notice.text == "This is too long. Select less."

    run(scenario())
