"""What stops a download, and what is told of it then."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from pytestqt.qtbot import QtBot

from app.models.download_job import MOVING, QUIET_MS, RESUMABLE, RUNNING, DownloadJob, DownloadState, lock
from app.models.download_queue import DownloadQueue
from app.models.transfer import disk_space, installation
from app.models.transfer.file_names import RECORD
from app.models.transfer.messages import Done, Failed, HubOrder, Progress, Stage
from engine.checkpoints.catalogue import models_folder
from engine.protocol.errors import Fault, FaultError
from tests.app.models.downloads.conftest import until, until_gone
from tests.app.models.hub_server import COMMIT, REPO, WEIGHTS, Hub, is_whole, make_model
from tests.app.timers import let_pass


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
    let_pass(item, QUIET_MS)
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
