"""Bytes that are not what they should be, and disks that take no more."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.models import library
from app.models.transfer import installation
from app.models.transfer.messages import HubOrder, Progress
from tests.app.models.hub_server import (
    NEEDED,
    WEIGHTS,
    Hub,
    is_whole,
    sharded_files,
)
from tests.app.models.transfer.conftest import Try


def test_a_wrong_hash_costs_that_file_alone(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.files = sharded_files()
    bad = "model-00002-of-00002.safetensors"
    hub.sent[bad] = bytes(len(hub.files[bad]))
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "damaged"
    assert tried.fault.message == "One file arrived damaged."
    assert tried.fault.remedy == "Try again: only that one is downloaded again."
    assert tried.fault.details == bad
    assert not folder.exists()
    hub.sent.clear()
    hub.requests.clear()
    assert Try(order, hub.url).done
    assert [seen.file for seen in hub.requests[1:]] == [bad]


def test_small_files_are_checked_by_git_s_hash(hub: Hub, order: HubOrder) -> None:
    hub.sent["LICENSE"] = bytes(len(hub.files["LICENSE"]))
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.details == "LICENSE"


def test_what_was_compared_is_recorded(hub: Hub, order: HubOrder, folder: Path) -> None:
    assert Try(order, hub.url).done
    record = installation.read_record(folder)
    assert record is not None
    assert record.hashes.keys() == NEEDED
    assert record.hashes[WEIGHTS] == hashlib.sha256(hub.files[WEIGHTS]).hexdigest()
    arrived = next(model for model in library.local_models() if model.folder == folder)
    assert arrived.checked


@pytest.mark.parametrize("tells_length", [True, False])
@pytest.mark.parametrize("longer", [True, False])
def test_a_wrong_size_is_found(
    hub: Hub, order: HubOrder, folder: Path, longer: bool, tells_length: bool
) -> None:
    hub.tells_length = tells_length
    whole = hub.files[WEIGHTS]
    hub.sent[WEIGHTS] = whole + b"more" if longer else whole[:-4]
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "damaged"
    assert WEIGHTS in tried.fault.message
    assert "size" in tried.fault.message
    assert len(tried.waits_s) == (not tells_length and not longer)
    assert not folder.exists()
    hub.sent.clear()
    assert Try(order, hub.url).done
    assert is_whole(folder, hub)


def test_too_many_bytes_on_the_disk_are_fetched_again(
    hub: Hub, order: HubOrder, folder: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.models.transfer.progress_reporter.EVERY_S", 0.0)
    begun.write_bytes(hub.files[WEIGHTS] + b"more")
    tried = Try(order, hub.url)
    assert tried.done
    assert is_whole(folder, hub)
    assert all(
        report.done_bytes <= report.total_bytes for report in tried.reports if isinstance(report, Progress)
    )


def test_the_room_is_looked_at_before_the_weights(
    hub: Hub, order: HubOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=900_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "disk"
    assert "900 MB free" in tried.fault.message
    assert "1.0 GB should stay free" in tried.fault.message
    assert not hub.asked_for(WEIGHTS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_write_that_the_system_refuses_for_want_of_room(
    hub: Hub, order: HubOrder, folder: Path, begun: Path
) -> None:
    begun.unlink()
    begun.symlink_to("/dev/full")
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "disk"
    assert "full" in tried.fault.message
    assert not folder.exists()


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """600 KB, of which the model needs 1 MB."""
    root = folder.parent
    root.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(root)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield root
    subprocess.run(["umount", str(root)], check=True)


def test_a_disk_that_fills_up_keeps_what_is_there(
    hub: Hub, order: HubOrder, folder: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=10**12)
    with monkeypatch.context() as patch:  # there was room when the download began
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "disk"
    assert not folder.exists()
    kept = (installation.partial(folder) / WEIGHTS).stat().st_size
    assert kept > 400_000
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        assert Try(order, hub.url).done
    assert is_whole(folder, hub)
    assert hub.asked_for(WEIGHTS)[-1].range == f"bytes={kept}-"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_to(
    hub: Hub, order: HubOrder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "folder"
    assert os.strerror(code) in tried.fault.message
