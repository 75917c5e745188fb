"""A look before the download: real processes, a Hub on 127.0.0.1, and what the page makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.device_watch import DeviceWatch
from app.models import disk, growing
from app.models.download import State
from app.models.downloads import Downloads
from app.models.hub import MOST_TO_LOOK_AT_BYTES, HubDownload
from app.models.messages import Checked, HubOrder, Report
from app.models.page import ModelsPage
from app.models.row import ModelRow
from app.settings import SettingsStore
from engine.catalogue import GEMMA_26B, models_folder
from engine.plans import gigabytes
from tests.app.models.hub import NEEDED, REPO, WEIGHTS, Hub, is_whole
from tests.app.models.test_download import TIMEOUT_MS, endpoint, until, until_gone, until_stalled
from tests.app.models.test_models_page import FakeDrafting, acts

__all__ = ["endpoint"]  # a fixture
DESCRIPTION = {"config.json", "LICENSE"}
FOLDER = REPO.replace("/", "--")


@pytest.fixture(autouse=True)
def real_configuration(hub: Hub) -> None:
    hub.files["config.json"] = (GEMMA_26B.describes / "config.json").read_bytes()


@pytest.fixture
def downloads(qtbot: QtBot) -> Iterator[Downloads]:
    downloads = Downloads()
    yield downloads
    downloads.close()


def page_of(downloads: Downloads, qtbot: QtBot, tmp_path: Path) -> ModelsPage:
    drafting = FakeDrafting()
    devices = DeviceWatch(drafting, drafting)  # type: ignore[arg-type]
    store = SettingsStore(tmp_path / "settings.json")
    page = ModelsPage(store, drafting, devices, downloads, 300)  # type: ignore[arg-type]
    drafting.setParent(page)
    qtbot.addWidget(page)
    page.show()
    return page


def files_asked_for(hub: Hub) -> set[str]:
    return {seen.file for seen in hub.requests if "/resolve/" in seen.path}


def test_what_is_typed_is_looked_up_and_downloaded_only_when_told_to(
    hub: Hub, downloads: Downloads, qtbot: QtBot, tmp_path: Path
) -> None:
    page = page_of(downloads, qtbot, tmp_path)
    page.form.repo.setText(f"https://huggingface.co/{REPO}")
    page.form.fetch.click()
    (item,) = downloads.items
    row = page.rows[item.folder]
    assert acts(row) == ["Cancel"]
    until(qtbot, item, State.LOOKED)
    assert files_asked_for(hub) == DESCRIPTION
    size = sum(len(hub.files[name]) for name in NEEDED)
    check_offer(row, size)

    until_gone(qtbot, item)
    row.download.click()
    until(qtbot, item, State.DONE)
    until_gone(qtbot, item)
    assert is_whole(models_folder() / FOLDER, hub)
    assert len(hub.asked_for("config.json")) == 1


def check_offer(row: ModelRow, size: int) -> None:
    """Size, licence, verdict and the writer's choice."""
    assert row.size_label.text() == gigabytes(size)
    assert row.licence.text() == "apache-2.0 licence"
    assert row.entry.licence_file is not None
    assert row.entry.licence_file.read_text() == "Do as you like."
    assert row.verdict.text().startswith("4-bit fits with ")
    assert not row.verdict.isHidden()
    assert "free on this disk" in row.state.text()
    assert row.line.isHidden()
    assert acts(row) == [f"Download {gigabytes(size)}", "Remove"]
    row.precision.setCurrentIndex(row.precision.findData("bf16"))
    row.precision.activated.emit(row.precision.currentIndex())
    assert "more than your RTX 4090 has free" in row.verdict.text()
    assert acts(row) == ["Download anyway", "Remove"]


def test_the_next_run_offers_it_again_without_asking_the_hub(
    hub: Hub, downloads: Downloads, qtbot: QtBot, tmp_path: Path
) -> None:
    item = downloads.download(REPO, look=True)
    until(qtbot, item, State.LOOKED)
    until_gone(qtbot, item)
    asked = len(hub.requests)
    again = Downloads()
    assert [item.state for item in again.items] == [State.LOOKED]
    page = page_of(again, qtbot, tmp_path)
    row = page.rows[item.folder]
    check_offer(row, sum(len(hub.files[name]) for name in NEEDED))
    assert len(hub.requests) == asked
    row.cancel.click()
    assert again.items == []
    assert item.folder not in page.rows
    assert not growing.partial(item.folder).exists()
    again.close()


def test_a_download_that_had_begun_is_no_look_any_more(hub: Hub, qtbot: QtBot) -> None:
    downloads = Downloads()
    hub.stalls[WEIGHTS] = 1000
    item = downloads.download(REPO, look=True)
    until(qtbot, item, State.LOOKED)
    item.resume()  # whether or not its first process has ended
    until_stalled(qtbot, hub, item, 1000)
    assert downloads.download(REPO, look=True) is item
    downloads.close()
    again = Downloads()
    assert [item.state for item in again.items] == [State.PAUSED]
    assert again.download(REPO, look=True).state is State.PAUSED
    again.close()


def test_a_look_does_not_wait_for_a_download(hub: Hub, downloads: Downloads, qtbot: QtBot) -> None:
    hub.stalls[WEIGHTS] = 1000
    first = downloads.download(REPO)
    until_stalled(qtbot, hub, first, 1000)
    look = downloads.download("someone/else", look=True)
    until(qtbot, look, State.FAILED)  # there is no such model
    assert first.state is State.DOWNLOADING
    second = downloads.download("someone/third")
    assert second.state is State.QUEUED


def test_a_look_needs_no_room(
    hub: Hub, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[WEIGHTS] = b"\0" * 1_000_000
    used = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: used._replace(free=disk.SPARE_BYTES))
    order = HubOrder(folder=str(models_folder() / FOLDER), repo=REPO, look=True)
    reports: list[Report] = []
    HubDownload(order, reports.append, endpoint=hub.url).run()
    assert [type(report) for report in reports] == [Checked]
    found = Downloads()
    row = page_of(found, qtbot, tmp_path).rows[Path(order.folder)]
    assert row.state.text() == "1.0\u00a0GB free on this disk: not enough"
    found.close()


def test_a_repository_that_asks_for_a_token_is_looked_at_with_it(
    hub: Hub, downloads: Downloads, qtbot: QtBot, tmp_path: Path
) -> None:
    page = page_of(downloads, qtbot, tmp_path)
    hub.refused["config.json"] = (401, "GatedRepo")
    item = downloads.download(REPO, look=True)
    until(qtbot, item, State.FAILED)
    row = page.rows[item.folder]
    assert row.token.isVisible()
    until_gone(qtbot, item)
    hub.refused.clear()
    row.token.setText("hf_secret")
    row.resume.click()
    until(qtbot, item, State.LOOKED)
    assert hub.asked_for("config.json")[-1].authorization == "Bearer hf_secret"
    assert hub.asked_for(WEIGHTS) == []
    until_gone(qtbot, item)
    row.download.click()
    qtbot.waitUntil(lambda: hub.asked_for(WEIGHTS) != [], timeout=TIMEOUT_MS)
    assert hub.asked_for(WEIGHTS)[-1].authorization == "Bearer hf_secret"
    until(qtbot, item, State.DONE)


def test_what_is_too_large_to_be_a_description_is_not_fetched(
    hub: Hub, downloads: Downloads, qtbot: QtBot
) -> None:
    hub.files["LICENSE"] = b"l" * (MOST_TO_LOOK_AT_BYTES + 1)
    item = downloads.download(REPO, look=True)
    until(qtbot, item, State.LOOKED)
    assert files_asked_for(hub) == {"config.json"}
    until_gone(qtbot, item)
    item.cancel()
    hub.requests.clear()
    hub.files["config.json"] += b" " * MOST_TO_LOOK_AT_BYTES
    item = downloads.download(REPO, look=True)
    until(qtbot, item, State.FAILED)
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
    hub: Hub, downloads: Downloads, qtbot: QtBot, tmp_path: Path, config: bytes, words: str
) -> None:
    page = page_of(downloads, qtbot, tmp_path)
    hub.files["config.json"] = config
    item = downloads.download(REPO, look=True)
    until(qtbot, item, State.FAILED)
    assert files_asked_for(hub) == {"config.json"}
    row = page.rows[item.folder]
    assert words in row.fault.text()
    assert acts(row) == ["Try again", "Remove"]
