"""Downloads and imports as the app sees them: real processes, a Hub on 127.0.0.1."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from PySide6.QtCore import QProcess
from pytestqt.qtbot import QtBot

from app.models import library
from app.models.download_job import MOVING, RESUMABLE, RUNNING, DownloadJob, DownloadState, lock
from app.models.download_queue import DownloadQueue
from app.models.model_entry import catalogue_name, model_entries
from app.models.transfer import disk_space, installation
from app.models.transfer.file_names import RECORD
from app.models.transfer.messages import Done, Failed, HubOrder, Progress, Report, Stage, encode
from app.models.transfer.process import endpoint as hub_address
from engine.checkpoints.catalogue import GEMMA_26B, models_folder
from engine.protocol.errors import Fault, FaultError
from tests.app.models.hub_server import COMMIT, REPO, WEIGHTS, Hub, is_whole, make_model

TIMEOUT_MS = 60_000
ROOT = Path(__file__).resolve().parents[3]
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


@pytest.fixture(autouse=True)
def endpoint(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)


@pytest.fixture
def downloads(qtbot: QtBot) -> Iterator[DownloadQueue]:
    downloads = DownloadQueue()
    yield downloads
    downloads.close()


@pytest.fixture
def folder() -> Path:
    return models_folder() / REPO.replace("/", "--")


def process_of(item: DownloadJob) -> int:
    process = item.findChild(QProcess)
    assert isinstance(process, QProcess)
    return int(process.processId())


def until(qtbot: QtBot, item: DownloadJob, *states: DownloadState) -> None:
    qtbot.waitUntil(lambda: item.state in states, timeout=TIMEOUT_MS)


def until_gone(qtbot: QtBot, item: DownloadJob) -> None:
    qtbot.waitUntil(lambda: not item.has_process, timeout=TIMEOUT_MS)


def until_stalled(qtbot: QtBot, hub: Hub, item: DownloadJob, done_bytes: int) -> None:
    """So many bytes of the weights are here; what is told may be a moment behind."""
    qtbot.waitUntil(hub.stalled.is_set, timeout=TIMEOUT_MS)
    weights = installation.partial(item.folder) / WEIGHTS
    qtbot.waitUntil(lambda: weights.exists() and weights.stat().st_size == done_bytes, timeout=TIMEOUT_MS)
    hub.stalled.clear()
    until(qtbot, item, DownloadState.DOWNLOADING)


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


def test_a_broken_model_is_replaced(hub: Hub, downloads: DownloadQueue, folder: Path, qtbot: QtBot) -> None:
    (make_model(folder) / "tokenizer.json").unlink()
    item = downloads.download(REPO)
    until(qtbot, item, DownloadState.DONE)
    assert is_whole(folder, hub)


@pytest.mark.parametrize(
    ("state", "then"),
    [(DownloadState.CHECKING, DownloadState.FAILED), (DownloadState.DOWNLOADING, DownloadState.PAUSED)],
)
def test_a_full_disk_is_a_pause_once_bytes_are_there(
    downloads: DownloadQueue, state: DownloadState, then: DownloadState
) -> None:
    fault = Fault("disk", "The disk is full.")
    item = DownloadJob(HubOrder(folder="/nowhere/gemma", repo=REPO), None, downloads)
    item.enter(state)
    item.on_report(Failed(fault=fault))
    assert (item.state, item.fault) == (then, fault)
    item.resume()
    assert (item.state, item.fault) == (DownloadState.QUEUED, None)


@pytest.fixture
def full_disk(folder: Path) -> Iterator[Path]:
    """With 300,000 bytes of the weights on it, and no room for a lock."""
    root = folder.parent
    root.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(root)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    partial = installation.partial(folder)
    partial.mkdir()
    installation.write_record(
        partial, installation.InstallRecord(repo=REPO, revision=COMMIT, total_bytes=1_000_000)
    )
    (partial / WEIGHTS).write_bytes(bytes(300_000))
    with (root / "others").open("wb", 0) as others, suppress(OSError):
        while others.write(bytes(4096)):
            pass
    yield root
    subprocess.run(["umount", str(root)], check=True)


def test_on_a_full_disk_a_download_is_found_again_and_can_be_given_up(
    full_disk: Path, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    downloads = DownloadQueue()
    assert "no lock" in caplog.text
    caplog.clear()
    (item,) = downloads.items
    assert (item.state, item.done_bytes) == (DownloadState.PAUSED, 300_000)
    item.resume()
    assert item.fault is not None
    assert item.fault.kind == "disk"
    assert "Make room" in item.fault.remedy
    item.cancel()
    assert downloads.items == []
    assert not installation.partial(item.folder).exists()


def test_no_room_for_the_models_folder_itself(own_folders: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FaultError) as caught, disk_space.writing_to(own_folders / "not" / "yet" / "there"):
        raise full
    assert caught.value.fault.kind == "disk"


def test_what_is_here_is_told_after_an_end(hub: Hub, downloads: DownloadQueue, qtbot: QtBot) -> None:
    """Not how far the check was, and no file that was wrong."""
    item = downloads.download(REPO)
    item.on_report(Progress(stage="verifying", done_bytes=1, total_bytes=9, elapsed_s=0))
    item.pause()
    until_gone(qtbot, item)
    partial = installation.partial(item.folder)
    assert item.done_bytes == (sum_of(partial) if partial.exists() else 0)
    hub.sent[WEIGHTS] = bytes(len(hub.files[WEIGHTS]))
    item.resume()
    until(qtbot, item, DownloadState.FAILED)
    until_gone(qtbot, item)
    assert 0 < item.done_bytes == sum_of(partial) < len(hub.files[WEIGHTS])


def sum_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.name != RECORD)


def test_what_no_longer_moves_has_no_rate(downloads: DownloadQueue, qtbot: QtBot) -> None:
    item = DownloadJob(HubOrder(folder="/nowhere/gemma", repo=REPO), None, downloads)
    item.enter(DownloadState.CHECKING)
    for second in range(3):
        item.on_report(
            Progress(stage="downloading", done_bytes=100 * second, total_bytes=1000, elapsed_s=second)
        )
    assert (item.rate.bytes_per_s, item.seconds_left) == (100, 8)
    with qtbot.waitSignal(item.progressed, timeout=TIMEOUT_MS):
        item._quiet.setInterval(1)
    assert (item.rate.bytes_per_s, item.seconds_left) == (0, None)


def test_what_a_process_said_before_it_was_ended_counts_no_more(downloads: DownloadQueue) -> None:
    item = DownloadJob(HubOrder(folder="/nowhere/gemma", repo=REPO), None, downloads)
    late = Progress(stage="downloading", done_bytes=1, total_bytes=2, elapsed_s=0)
    for state in (DownloadState.QUEUED, DownloadState.PAUSED, DownloadState.CANCELLED):
        item.enter(state)
        item.on_report(late)
        assert (item.state, item.done_bytes) == (state, 0)
    item.on_report(Done())  # the pause came too late
    assert item.state is DownloadState.DONE


def test_an_import_takes_no_name_twice(downloads: DownloadQueue, own_folders: Path) -> None:
    make_model(models_folder() / "mine")
    with pytest.raises(FaultError, match="already"):
        downloads.import_model(make_model(own_folders / "stick" / "mine"))
    with pytest.raises(FaultError, match="no name"):
        downloads.import_model(Path("/"))
    with pytest.raises(FaultError, match="no name"):
        downloads.import_model(own_folders, name="../out")
    assert downloads.items == []


@pytest.mark.parametrize(
    ("program", "kind"),
    [("/nowhere/python", "died"), ("/bin/true", "died"), ("/bin/echo", "died")],
)
def test_a_process_that_is_none(
    downloads: DownloadQueue, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, program: str, kind: str
) -> None:
    """One that cannot start, one that says nothing, one that says what cannot be understood."""
    monkeypatch.setattr(sys, "executable", program)
    item = downloads.download(REPO)
    until(qtbot, item, DownloadState.FAILED)
    until_gone(qtbot, item)
    assert item.fault is not None
    assert item.fault.kind == kind


def test_a_models_folder_that_cannot_be_made(downloads: DownloadQueue) -> None:
    models_folder().parent.mkdir(parents=True)
    models_folder().write_text("a file")
    item = downloads.download(REPO)
    assert item.state is DownloadState.FAILED
    assert item.fault is not None
    assert item.fault.kind == "folder"


def test_what_never_came_far_is_swept_away(qtbot: QtBot, folder: Path) -> None:
    partial = installation.partial(folder)
    partial.mkdir(parents=True)
    (partial / "config.json").write_text("{}")
    held = lock(folder)
    assert DownloadQueue().items == []  # another window has only just begun it
    assert partial.exists()
    assert held is not None
    held.unlock()
    assert DownloadQueue().items == []
    assert not partial.exists()


def test_states_have_the_names_of_the_stages() -> None:
    assert {state.value for state in RUNNING} >= set(get_args(Stage))


def test_what_moves_can_be_paused_and_what_stands_goes_on(downloads: DownloadQueue) -> None:
    item = DownloadJob(HubOrder(folder="/nowhere/gemma", repo=REPO), None, downloads)
    for state in DownloadState:
        item.enter(state)
        item.pause()
        assert (item.state is not state) == (state in MOVING)
        item.enter(state)
        item.resume()
        assert (item.state is not state) == (state in RESUMABLE)
    assert {*MOVING, *RESUMABLE, DownloadState.DONE, DownloadState.CANCELLED} == set(DownloadState)
