"""Several downloads, and what can be none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from app.models.download_job import DownloadJob, DownloadState
from app.models.download_queue import DownloadQueue
from app.models.model_entry import catalogue_name, model_entries
from app.models.transfer.messages import Failed, HubOrder, Report, encode
from app.models.transfer.process import endpoint as hub_address
from engine.checkpoints.catalogue import GEMMA_26B, models_folder
from engine.protocol.errors import FaultError
from tests.app.models.downloads.conftest import ROOT, TIMEOUT_MS, until, until_stalled
from tests.app.models.hub_server import REPO, WEIGHTS, Hub, make_model


def test_one_after_the_other_and_an_import_beside_them(
    hub: Hub, downloads: DownloadQueue, own_folders: Path, qtbot: QtBot
) -> None:
    hub.stalls[WEIGHTS] = 100_000
    first = downloads.download(REPO)
    second = downloads.download("someone/else")
    assert downloads.download(REPO) is first
    assert (first.state, second.state) == (DownloadState.CHECKING, DownloadState.QUEUED)
    source = make_model(own_folders / "stick" / "mine")
    copy = downloads.import_model(source)
    assert copy.is_import
    until(qtbot, copy, DownloadState.DONE)
    assert (models_folder() / "mine" / WEIGHTS).read_bytes() == (source / WEIGHTS).read_bytes()
    until_stalled(qtbot, hub, first, 100_000)
    assert second.state is DownloadState.QUEUED
    first.pause()
    until(qtbot, second, DownloadState.FAILED)  # there is no such model
    assert second.fault is not None
    assert second.fault.kind == "not-found"
    second.cancel()
    first.cancel()
    qtbot.waitUntil(lambda: downloads.items == [], timeout=TIMEOUT_MS)


@pytest.mark.parametrize(
    "repo", ["", "gemma", "a/b/c", "../../etc", "a/..", "https://example.com/a/b", "a/b c"]
)
def test_what_can_be_no_models_name_is_refused(downloads: DownloadQueue, repo: str) -> None:
    with pytest.raises(FaultError, match="no model’s name"):
        downloads.download(repo)
    assert downloads.items == []


@pytest.mark.parametrize("repo", ["someone/tuned.lock", "someone/tuned.partial", "con.x/tuned", "a/b."])
def test_a_name_that_no_folder_here_may_have_is_refused(downloads: DownloadQueue, repo: str) -> None:
    with pytest.raises(FaultError, match="no folder may have its name"):
        downloads.download(repo)
    assert downloads.items == []


def test_a_link_to_nowhere_is_told_before_the_download(
    hub: Hub, downloads: DownloadQueue, folder: Path
) -> None:
    folder.parent.mkdir(parents=True)
    folder.symlink_to("unplugged")
    item = downloads.download(REPO)
    assert item.state is DownloadState.FAILED
    assert item.fault is not None
    assert item.fault.kind == "folder"
    assert str(folder) in item.fault.message
    assert hub.requests == []
    with pytest.raises(FaultError, match="already"):
        downloads.import_model(folder, folder.name)


def test_an_import_from_a_path_that_is_no_text_is_refused(
    downloads: DownloadQueue, own_folders: Path
) -> None:
    link = own_folders / "stick"
    link.symlink_to(make_model(own_folders / os.fsdecode(b"M\xfcller") / "mine"))
    with pytest.raises(FaultError, match=r"M\?ller.* cannot be read"):
        downloads.import_model(link)
    assert downloads.items == []


def test_an_import_from_the_hub_clients_cache_is_called_by_the_model(
    downloads: DownloadQueue, own_folders: Path
) -> None:
    cache = own_folders / "hub"
    tuned = make_model(cache / "models--someone--tuned" / "snapshots" / ("c" * 40))
    assert downloads.import_model(tuned).folder == models_folder() / "someone--tuned"
    real = cache / f"models--{GEMMA_26B.source.replace('/', '--')}" / "snapshots" / ("c" * 40)
    assert catalogue_name(real) == GEMMA_26B.name


def test_an_import_of_what_is_on_its_way_waits_for_that(downloads: DownloadQueue, own_folders: Path) -> None:
    source = make_model(own_folders / "stick" / "mine")
    downloads.import_model(source)
    with pytest.raises(FaultError, match="on its way") as refused:
        downloads.import_model(source)
    assert "cancel" in refused.value.fault.remedy


def test_a_download_under_way_is_the_catalogues_model_before_a_look(downloads: DownloadQueue) -> None:
    item = DownloadJob(HubOrder(folder=str(GEMMA_26B.folder), repo=GEMMA_26B.source), None, downloads)
    assert [entry.label for entry in model_entries(None, (), [item])] == [GEMMA_26B.label]


def test_an_empty_address_of_the_hub_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert hub_address() == "https://huggingface.co"


@pytest.mark.parametrize("address", ["http://[::1", "http://[::1]:99999"])
def test_an_address_of_the_hub_that_is_none_is_told(address: str, tmp_path: Path) -> None:
    order = encode(HubOrder(folder=str(tmp_path / "models" / "mine"), repo=REPO))
    with subprocess.Popen(
        [sys.executable, "-m", "app.models.transfer.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": address},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(order)
        process.stdin.flush()
        report = msgspec.json.decode(process.stdout.readline(), type=Report)
        process.stdin.close()
    assert isinstance(report, Failed)
    assert report.fault.kind == "network"
    assert "HF_ENDPOINT" in report.fault.remedy


def test_what_is_here_already_is_not_downloaded_again(downloads: DownloadQueue, folder: Path) -> None:
    (make_model(folder) / "notes.txt").write_text("")
    with pytest.raises(FaultError, match="already"):
        downloads.download(REPO)
    assert downloads.items == []
