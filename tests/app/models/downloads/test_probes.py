"""A look before the download: real processes, a Hub on 127.0.0.1, and what the page makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.models.download_job import DownloadState
from app.models.download_queue import DownloadQueue
from app.models.transfer import disk_space, installation
from app.models.transfer.hub_download import MAX_PROBE_BYTES, HubDownload
from app.models.transfer.messages import Checked, HubOrder, Report
from app.models.ui.model_row import ModelRow
from app.models.ui.models_page import ModelsPage
from app.settings.store import SettingsStore
from app.worker.device_monitor import DeviceMonitor
from engine.checkpoints.catalogue import GEMMA_26B, models_folder
from engine.checkpoints.units import disk_text
from tests.app.models.desk import FakeModel, acts
from tests.app.models.downloads.conftest import TIMEOUT_MS, until, until_gone, until_stalled
from tests.app.models.hub_server import NEEDED, REPO, WEIGHTS, Hub, is_whole

DESCRIPTION = {"config.json", "LICENSE"}
FOLDER = REPO.replace("/", "--")


@pytest.fixture(autouse=True)
def real_configuration(hub: Hub) -> None:
    hub.files["config.json"] = (GEMMA_26B.describes / "config.json").read_bytes()


@pytest.fixture
def downloads(qtbot: QtBot) -> Iterator[DownloadQueue]:
    downloads = DownloadQueue()
    yield downloads
    downloads.close()


def page_of(downloads: DownloadQueue, qtbot: QtBot, tmp_path: Path) -> ModelsPage:
    drafting = FakeModel()
    devices = DeviceMonitor(drafting, drafting)  # type: ignore[arg-type]
    store = SettingsStore(tmp_path / "settings.json")
    page = ModelsPage(store, drafting, devices, downloads, 300)  # type: ignore[arg-type]
    drafting.setParent(page)
    qtbot.addWidget(page)
    page.show()
    return page


def files_asked_for(hub: Hub) -> set[str]:
    return {seen.file for seen in hub.requests if "/resolve/" in seen.path}


def test_what_is_typed_is_looked_up_and_downloaded_only_when_told_to(
    hub: Hub, downloads: DownloadQueue, qtbot: QtBot, tmp_path: Path
) -> None:
    page = page_of(downloads, qtbot, tmp_path)
    page.form.repo.setText(f"https://huggingface.co/{REPO}")
    page.form.fetch.click()
    (item,) = downloads.items
    row = page.models.rows[item.folder]
    assert acts(row) == ["Cancel"]
    until(qtbot, item, DownloadState.PROBED)
    assert files_asked_for(hub) == DESCRIPTION
    size = sum(len(hub.files[name]) for name in NEEDED)
    check_offer(row, size)

    until_gone(qtbot, item)
    row.download.click()
    until(qtbot, item, DownloadState.DONE)
    until_gone(qtbot, item)
    assert is_whole(models_folder() / FOLDER, hub)
    assert len(hub.asked_for("config.json")) == 1


def check_offer(row: ModelRow, size: int) -> None:
    """Size, licence, verdict and the writer's choice."""
    assert row.size_label.text() == disk_text(size)
    assert row.licence.text() == "apache-2.0 licence"
    assert row.entry.licence_file is not None
    assert row.entry.licence_file.read_text() == "Do as you like."
    assert row.verdict.text().startswith("4-bit fits with ")
    assert not row.verdict.isHidden()
    assert "free on this disk" in row.state.text()
    assert row.line.isHidden()
    assert acts(row) == [f"Download {disk_text(size)}", "Remove"]
    row.precision.setCurrentIndex(row.precision.findData("bf16"))
    row.precision.activated.emit(row.precision.currentIndex())
    assert "more than your RTX 4090 has free" in row.verdict.text()
    assert acts(row) == ["Download anyway", "Remove"]


def test_the_next_run_offers_it_again_without_asking_the_hub(
    hub: Hub, downloads: DownloadQueue, qtbot: QtBot, tmp_path: Path
) -> None:
    item = downloads.download(REPO, probe=True)
    until(qtbot, item, DownloadState.PROBED)
    until_gone(qtbot, item)
    asked = len(hub.requests)
    again = DownloadQueue()
    assert [item.state for item in again.items] == [DownloadState.PROBED]
    page = page_of(again, qtbot, tmp_path)
    row = page.models.rows[item.folder]
    check_offer(row, sum(len(hub.files[name]) for name in NEEDED))
    assert len(hub.requests) == asked
    row.cancel.click()
    assert again.items == []
    assert item.folder not in page.models.rows
    assert not installation.partial(item.folder).exists()
    again.close()


def test_a_download_that_had_begun_is_no_look_any_more(hub: Hub, qtbot: QtBot) -> None:
    downloads = DownloadQueue()
    hub.stalls[WEIGHTS] = 1000
    item = downloads.download(REPO, probe=True)
    until(qtbot, item, DownloadState.PROBED)
    item.resume()  # whether or not its first process has ended
    until_stalled(qtbot, hub, item, 1000)
    assert downloads.download(REPO, probe=True) is item
    downloads.close()
    again = DownloadQueue()
    assert [item.state for item in again.items] == [DownloadState.PAUSED]
    assert again.download(REPO, probe=True).state is DownloadState.PAUSED
    again.close()


def test_a_look_does_not_wait_for_a_download(hub: Hub, downloads: DownloadQueue, qtbot: QtBot) -> None:
    hub.stalls[WEIGHTS] = 1000
    first = downloads.download(REPO)
    until_stalled(qtbot, hub, first, 1000)
    look = downloads.download("someone/else", probe=True)
    until(qtbot, look, DownloadState.FAILED)  # there is no such model
    assert first.state is DownloadState.DOWNLOADING
    second = downloads.download("someone/third")
    assert second.state is DownloadState.QUEUED


def test_a_look_needs_no_room(
    hub: Hub, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[WEIGHTS] = b"\0" * 1_000_000
    used = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: used._replace(free=disk_space.SPARE_BYTES))
    order = HubOrder(folder=str(models_folder() / FOLDER), repo=REPO, probe=True)
    reports: list[Report] = []
    HubDownload(order, reports.append, endpoint=hub.url).run()
    assert [type(report) for report in reports] == [Checked]
    found = DownloadQueue()
    row = page_of(found, qtbot, tmp_path).models.rows[Path(order.folder)]
    assert row.state.text() == "1.0\u00a0GB free on this disk: not enough"
    found.close()


def test_a_repository_that_asks_for_a_token_is_looked_at_with_it(
    hub: Hub, downloads: DownloadQueue, qtbot: QtBot, tmp_path: Path
) -> None:
    page = page_of(downloads, qtbot, tmp_path)
    hub.refused["config.json"] = (401, "GatedRepo")
    item = downloads.download(REPO, probe=True)
    until(qtbot, item, DownloadState.FAILED)
    row = page.models.rows[item.folder]
    assert row.token.isVisible()
    until_gone(qtbot, item)
    hub.refused.clear()
    row.token.setText("hf_secret")
    row.resume.click()
    until(qtbot, item, DownloadState.PROBED)
    assert hub.asked_for("config.json")[-1].authorization == "Bearer hf_secret"
    assert hub.asked_for(WEIGHTS) == []
    until_gone(qtbot, item)
    row.download.click()
    qtbot.waitUntil(lambda: hub.asked_for(WEIGHTS) != [], timeout=TIMEOUT_MS)
    assert hub.asked_for(WEIGHTS)[-1].authorization == "Bearer hf_secret"
    until(qtbot, item, DownloadState.DONE)


def test_what_is_too_large_to_be_a_description_is_not_fetched(
    hub: Hub, downloads: DownloadQueue, qtbot: QtBot
) -> None:
    hub.files["LICENSE"] = b"l" * (MAX_PROBE_BYTES + 1)
    item = downloads.download(REPO, probe=True)
    until(qtbot, item, DownloadState.PROBED)
    assert files_asked_for(hub) == {"config.json"}
    until_gone(qtbot, item)
    item.cancel()
    hub.requests.clear()
    hub.files["config.json"] += b" " * MAX_PROBE_BYTES
    item = downloads.download(REPO, probe=True)
    until(qtbot, item, DownloadState.FAILED)
    assert files_asked_for(hub) == set()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b'{"model_type": "llama"}', "another kind (llama)"),
        (b'{"model_type": "diffusion_gemma"}', "does not tell how large it is"),
        (
            b'{"model_type": "diffusion_gemma", "quantization_config": {"quant_method": "fp8"}}',
            "another program packed it",
        ),
    ],
)
def test_another_kind_of_model_is_told_and_fetches_nothing_else(
    hub: Hub, downloads: DownloadQueue, qtbot: QtBot, tmp_path: Path, config: bytes, words: str
) -> None:
    page = page_of(downloads, qtbot, tmp_path)
    hub.files["config.json"] = config
    item = downloads.download(REPO, probe=True)
    until(qtbot, item, DownloadState.FAILED)
    assert files_asked_for(hub) == {"config.json"}
    row = page.models.rows[item.folder]
    assert words in row.fault.text()
    assert acts(row) == ["Try again", "Remove"]
