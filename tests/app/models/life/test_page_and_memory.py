"""A model is found, used and freed again."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QPushButton

from app.drafting.draft_session import DraftState
from app.models.download_job import DownloadJob, DownloadState
from app.models.transfer.installation import InstallRecord, write_record
from app.window.main_window import MainWindow
from app.window.status_bar import name_in_list, proof
from engine.checkpoints.catalogue import BUNDLED, models_folder
from engine.hardware.device_groups import combined_device
from tests.app.conftest import Run
from tests.app.models.desk import RTX_3060, RTX_4090, finish_scan, install
from tests.app.models.life.conftest import offers, until
from tests.app.window.conftest import settle
from tests.fakes import ready


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
    window.settings.change(panel_open=True)
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
        assert window.settings.current.model == str(item.folder)
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
    chosen = window.settings.current
    window.notice.buttons[0].click()
    assert window.settings.current == chosen
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


def test_the_memory_is_freed_by_hand_and_the_next_draft_loads(window: MainWindow, run: Run) -> None:
    free = next(action for action in window.findChildren(QAction) if action.text() == "Free the memory now")
    assert not free.isEnabled()
    run(settle(window))
    window.view.commands.keep()
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
    streamed = msgspec.structs.replace(loaded, streamed_bytes=int(9.5 * 2**30))
    assert proof(streamed) == "4-bit · RTX 4090 · 8.4 of 24 GB"
    (two,) = combined_device((RTX_4090, RTX_4090))
    on_two = msgspec.structs.replace(loaded, device=two, memory_bytes=int(20.9 * 2**30))
    assert proof(on_two) == "4-bit · 2 × RTX 4090 · 20.9 of 48 GB"


def test_a_context_for_which_automatic_is_another_precision_loads_it(window: MainWindow, run: Run) -> None:
    card = msgspec.structs.replace(RTX_3060, total_bytes=20 << 30, free_bytes=20 << 30)

    async def scenario() -> None:
        window.settings.change(model="diffusiongemma-26b")
        loads = []
        for context in (8192, 32768, 30000, 8192):
            window.model.unload()
            window.model.ready = msgspec.structs.replace(ready("1"), device=card, precision="4-bit")
            window.settings.change(context_tokens=context)
            loads.append(window.model.ready is None)
        assert loads == [False, True, True, False]
        window.model.ready = msgspec.structs.replace(ready("1"), device=card, precision="bf16")
        window.settings.change(font_size_px=24)
        window.settings.change(precision="bf16")
        window.model.ready = msgspec.structs.replace(ready("1"), device=card, precision="bf16")
        window.settings.change(context_tokens=32768)
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
        window.view.commands.draft()
        await until(lambda: window.view.drafts.state is DraftState.DENOISING)
        window.settings.change(**{setting: value})
        assert window.view.drafts.current is None
        assert window.model.loading is not None
        window.settings.change(font_size_px=24)
        window.settings.change(model="starter")
        await until(lambda: window.model.ready is not None)

    run(scenario())
    assert window.view.page.text() == ""
