"""One download, from its start to its end, across kills and restarts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QProcess
from pytestqt.qtbot import QtBot

from app.models import library
from app.models.download_job import DownloadJob, DownloadState, lock
from app.models.download_queue import DownloadQueue
from app.models.transfer import installation
from app.models.transfer.file_names import RECORD
from tests.app.models.downloads.conftest import ROOT, TIMEOUT_MS, until, until_gone, until_stalled
from tests.app.models.hub_server import COMMIT, REPO, WEIGHTS, Hub, is_whole, make_model

AUDIT = """
import os, sys

def on_event(event, arguments):
    if event == "socket.connect":
        print("a stray print")
        with open(os.environ["AUDIT_FILE"], "a") as file:
            print(*arguments[1], file=file)
    if event == "socket.getaddrinfo":
        with open(os.environ["AUDIT_FILE"], "a") as file:
            print("name", arguments[0], file=file)

sys.addaudithook(on_event)
"""


PARENT = f"""
from PySide6.QtCore import QCoreApplication
from app.models.download_queue import DownloadQueue
app = QCoreApplication([])
downloads = DownloadQueue()
downloads.download({REPO!r})
app.exec()
"""


def process_of(item: DownloadJob) -> int:
    process = item.findChild(QProcess)
    assert isinstance(process, QProcess)
    return int(process.processId())


def test_a_download_goes_to_its_end_and_speaks_to_the_hub_alone(
    hub: Hub,
    downloads: DownloadQueue,
    folder: Path,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    (tmp_path / "app.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("AUDIT_FILE", str(tmp_path / "audit"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the engine's, not the download's
    hub.stalls[WEIGHTS] = 500_000
    states: list[DownloadState] = []
    with qtbot.waitSignal(downloads.added, timeout=TIMEOUT_MS):
        item = downloads.download(f" https://huggingface.co/{REPO}/ ", token="hf_secret\n")
    item.state_changed.connect(states.append)
    assert item.state is DownloadState.CHECKING
    until_stalled(qtbot, hub, item, 500_000)
    command = Path(f"/proc/{process_of(item)}/cmdline")
    assert b"secret" not in (command.read_bytes() if command.exists() else b"")
    item.pause()
    item.resume()
    qtbot.waitUntil(lambda: item.state is DownloadState.CHECKING, timeout=TIMEOUT_MS)
    codes: list[int] = []
    item.findChildren(QProcess)[-1].finished.connect(lambda code: codes.append(code))
    with qtbot.waitSignals([downloads.finished, downloads.removed], timeout=TIMEOUT_MS):
        pass
    assert states == [
        DownloadState.DOWNLOADING,
        DownloadState.PAUSED,
        DownloadState.QUEUED,
        DownloadState.CHECKING,
        DownloadState.DOWNLOADING,
        DownloadState.VERIFYING,
        DownloadState.DONE,
    ]
    assert is_whole(folder, hub)
    assert downloads.items == []
    assert (
        item.done_bytes
        == item.total_bytes
        == sum(
            (folder / name).stat().st_size
            for name in (file.name for file in folder.iterdir() if file.name != RECORD)
        )
    )
    assert {seen.authorization for seen in hub.requests} == {"Bearer hf_secret"}
    assert hub.sent_bytes(WEIGHTS) == len(hub.files[WEIGHTS])
    assert set((tmp_path / "audit").read_text().splitlines()) <= {
        f"127.0.0.1 {hub.server_port}",
        "name 127.0.0.1",
    }
    assert "secret" not in caplog.text
    (model,) = (model for model in library.local_models() if model.folder == folder)
    assert (model.problem, model.repo, model.licence) == ("", REPO, "apache-2.0")


def test_a_killed_process_costs_no_byte(
    hub: Hub, downloads: DownloadQueue, folder: Path, qtbot: QtBot
) -> None:
    item = downloads.download(REPO)
    for place in (300_000, 600_000, 600_500):
        hub.stalls[WEIGHTS] = place
        item.resume()
        until_stalled(qtbot, hub, item, place)
        os.kill(process_of(item), signal.SIGKILL)
        until(qtbot, item, DownloadState.FAILED)
        assert item.fault is not None
        assert item.fault.kind == "died"
        assert not folder.exists()
    item.resume()
    until(qtbot, item, DownloadState.DONE)
    assert is_whole(folder, hub)
    ranges = ["", "bytes=300000-", "bytes=600000-", "bytes=600500-"]
    assert [seen.range for seen in hub.asked_for(WEIGHTS)] == ranges
    assert hub.sent_bytes(WEIGHTS) == len(hub.files[WEIGHTS])


def test_the_next_run_finds_it_paused_and_goes_on(hub: Hub, folder: Path, qtbot: QtBot) -> None:
    hub.stalls[WEIGHTS] = 700_000
    first = DownloadQueue()
    item = first.download(REPO)
    until_stalled(qtbot, hub, item, 700_000)
    first.close()
    assert not item.has_process
    assert hub.left.wait(60)
    hub.commit = "b" * 40  # the branch moves on

    second = DownloadQueue()
    (item,) = second.items
    assert (item.name, item.state, item.licence) == (REPO, DownloadState.PAUSED, "apache-2.0")
    assert 700_000 < item.done_bytes < item.total_bytes
    assert not item.has_process
    third = DownloadQueue()
    other = third.items[0]
    hub.commit = COMMIT
    hub.stalls[WEIGHTS] = 800_000
    item.resume()
    until_stalled(qtbot, hub, item, 800_000)

    other.resume()  # another window
    assert other.state is DownloadState.FAILED
    assert other.fault is not None
    assert "Another window" in other.fault.message
    other.cancel()
    assert other.state is DownloadState.FAILED
    assert DownloadQueue().items == []
    third.close()

    item.pause()
    item.resume()
    until(qtbot, item, DownloadState.DONE)
    until_gone(qtbot, item)
    assert is_whole(folder, hub)
    asked = [seen for seen in hub.requests if "/revision/" in seen.path]
    assert [seen.path.rpartition("/")[2] for seen in asked] == ["main", COMMIT, COMMIT]
    second.close()


def test_what_another_window_has_brought_is_not_fetched_again(
    hub: Hub, folder: Path, qtbot: QtBot, own_folders: Path
) -> None:
    hub.stalls[WEIGHTS] = 700_000
    first = DownloadQueue()
    item = first.download(REPO)
    until_stalled(qtbot, hub, item, 700_000)
    item.pause()
    until_gone(qtbot, item)
    second = DownloadQueue()
    (other,) = second.items
    source = make_model(own_folders / "stick" / "mine")
    copy = second.import_model(source)
    copy.pause()
    until_gone(qtbot, copy)
    copied = first.import_model(source)
    item.resume()
    until(qtbot, item, DownloadState.DONE)
    until(qtbot, copied, DownloadState.DONE)
    until_gone(qtbot, item)
    until_gone(qtbot, copied)
    hub.requests.clear()
    for late in (other, copy):
        (late.folder / "notes.txt").write_text("")
        late.resume()
        until(qtbot, late, DownloadState.DONE, DownloadState.FAILED)
        assert late.state is DownloadState.DONE
        assert (late.folder / "notes.txt").exists()
        held = lock(late.folder)
        assert held is not None
        held.unlock()
    assert hub.requests == []
    assert second.items == []
    first.close()
    second.close()


def test_what_another_window_has_begun_goes_on(hub: Hub, folder: Path, qtbot: QtBot) -> None:
    late = DownloadQueue()
    hub.stalls[WEIGHTS] = 700_000
    first = DownloadQueue()
    item = first.download(REPO)
    until_stalled(qtbot, hub, item, 700_000)
    item.pause()
    until_gone(qtbot, item)
    assert late.download(REPO, probe=True).state is DownloadState.PAUSED
    other = late.download(REPO)
    until(qtbot, other, DownloadState.DONE)
    until_gone(qtbot, other)
    assert is_whole(folder, hub)
    asked = [seen for seen in hub.requests if "/revision/" in seen.path]
    assert [seen.path.rpartition("/")[2] for seen in asked] == ["main", COMMIT]
    assert hub.sent_bytes(WEIGHTS) == len(hub.files[WEIGHTS])
    first.close()
    late.close()


def test_a_slow_server_can_be_left(hub: Hub, downloads: DownloadQueue, folder: Path, qtbot: QtBot) -> None:
    hub.stalls[WEIGHTS] = 100_000
    item = downloads.download(REPO)
    until_stalled(qtbot, hub, item, 100_000)
    with qtbot.waitSignal(downloads.removed, timeout=TIMEOUT_MS):
        item.cancel()
    assert item.state is DownloadState.CANCELLED
    assert hub.left.wait(60)
    assert downloads.items == []
    assert not folder.exists()
    assert not installation.partial(folder).exists()
    assert not folder.with_name(folder.name + ".lock").exists()


def test_a_process_does_not_outlive_the_app(hub: Hub) -> None:
    hub.stalls[WEIGHTS] = 100_000
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT)
    try:
        assert hub.stalled.wait(60)
        assert not hub.left.is_set()
    finally:
        parent.kill()
        parent.wait()
    assert hub.left.wait(60)


def test_a_fault_is_told_and_can_be_mended(
    hub: Hub, downloads: DownloadQueue, folder: Path, qtbot: QtBot
) -> None:
    hub.refused["config.json"] = 401, "GatedRepo"
    item = downloads.download(REPO)
    until(qtbot, item, DownloadState.FAILED)
    assert item.fault is not None
    assert item.fault.kind == "access"
    hub.refused.clear()
    hub.fault(429, {"Retry-After": "3600"})
    item.resume("hf_new")
    qtbot.waitUntil(lambda: bool(item.waiting), timeout=TIMEOUT_MS)
    assert item.fault is None
    assert (item.state, item.waiting_s) == (DownloadState.CHECKING, 3600)
    assert "too many requests" in item.waiting
    item.pause()
    assert item.waiting == ""
    item.resume()
    until(qtbot, item, DownloadState.DONE)
    assert {seen.authorization for seen in hub.requests[2:]} == {"Bearer hf_new"}
