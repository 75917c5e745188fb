"""Import from a folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.models import library
from app.models.transfer import installation
from app.models.transfer.file_names import RECORD
from app.models.transfer.folder_copy import copy_model
from app.models.transfer.messages import Checked, Done, ImportOrder, Progress, Report
from engine.checkpoints.catalogue import models_folder
from engine.protocol.errors import Fault, FaultError
from tests.app.models.hub_server import INDEX, WEIGHTS, model_files, sharded_files


@pytest.fixture
def source(own_folders: Path, room: None) -> Path:
    source = own_folders / "stick" / "gemma"
    source.mkdir(parents=True)
    write(source, model_files())
    return source


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        if "/" not in name:
            (folder / name).write_bytes(data)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != RECORD}


def copied(source: Path, meanwhile: Callable[[], object] = lambda: None) -> tuple[list[Report], Fault | None]:
    """meanwhile: happens once it is told that the copying begins."""
    reports: list[Report] = []
    order = ImportOrder(folder=str(models_folder() / "gemma"), source=str(source))

    def on_report(report: Report) -> None:
        reports.append(report)
        meanwhile()

    try:
        copy_model(order, on_report)
    except FaultError as error:
        return reports, error.fault
    return reports, None


def test_what_a_model_needs_is_copied(source: Path) -> None:
    before = content(source)
    reports, fault = copied(source)
    assert fault is None
    assert reports[-1] == Done()
    needless = {"README.md", "modeling.py", "pytorch_model.bin"}
    needed = {name: data for name, data in before.items() if name not in needless}
    assert content(models_folder() / "gemma") == needed
    assert content(source) == before
    total = sum(map(len, needed.values()))
    assert reports[0] == Checked(revision="", licence="", total_bytes=total)
    done = [report.done_bytes for report in reports if isinstance(report, Progress)]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)


def test_a_copy_says_where_the_model_came_from_first(source: Path) -> None:
    installation.write_record(
        source, installation.InstallRecord(repo="someone/tuned", revision="c", licence="mit")
    )
    assert copied(source)[1] is None
    record = installation.read_record(models_folder() / "gemma")
    assert record is not None
    assert (record.repo, record.licence, record.source) == ("someone/tuned", "mit", str(source))


def test_shards_are_copied_with_their_index(source: Path) -> None:
    (source / WEIGHTS).unlink()
    write(source, {name: data for name, data in sharded_files().items() if name != WEIGHTS})
    assert copied(source)[1] is None
    names = content(models_folder() / "gemma").keys()
    assert INDEX in names
    assert len([name for name in names if name.endswith(".safetensors")]) == 2


def test_after_an_interruption_only_what_is_missing_is_copied(source: Path) -> None:
    partial = installation.partial(models_folder() / "gemma")
    partial.mkdir(parents=True)
    copied_before = (source / WEIGHTS).read_bytes()[:-1] + b"!"
    (partial / WEIGHTS).write_bytes(copied_before)
    shutil.copystat(source / WEIGHTS, partial / WEIGHTS)
    (partial / "tokenizer.json").write_bytes(b"{")
    assert copied(source)[1] is None
    there = content(models_folder() / "gemma")
    assert there[WEIGHTS] == copied_before
    assert there["tokenizer.json"] == model_files()["tokenizer.json"]


def test_what_was_copied_from_another_stick_is_copied_again(source: Path) -> None:
    """Two trainings of a model have the same sizes, and two sticks the same place; their times differ."""
    folder = models_folder() / "gemma"
    partial = installation.partial(folder)
    partial.mkdir(parents=True)
    whole = (source / WEIGHTS).read_bytes()
    (partial / WEIGHTS).write_bytes(whole[:-1] + b"!")
    os.utime(partial / WEIGHTS, (1, 1))
    assert copied(source)[1] is None
    assert (folder / WEIGHTS).read_bytes() == whole
    assert (folder / WEIGHTS).stat().st_mtime_ns == (source / WEIGHTS).stat().st_mtime_ns


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("config.json", b'{"model_type": "gemma4"}'),
        ("config.json", None),
        ("tokenizer.json", None),
        (WEIGHTS, None),
        (WEIGHTS, b"cut"),
        (INDEX, b'{"weight_map": {"a": "gone.safetensors"}}'),
    ],
)
def test_what_is_no_whole_model_is_refused(source: Path, name: str, data: bytes | None) -> None:
    if data is None:
        (source / name).unlink()
    else:
        (source / name).write_bytes(data)
    fault = copied(source)[1]
    assert fault is not None
    assert fault.kind == "unfit"
    assert fault.remedy == "Choose another folder."
    assert not models_folder().exists()


@pytest.mark.parametrize("where", ["../outside.safetensors", "sub/inside.safetensors"])
def test_weights_that_lie_elsewhere_are_refused(source: Path, where: str) -> None:
    (source / "sub").mkdir()
    shutil.copy(source / WEIGHTS, source / where)
    for name in (where, str((source / where).resolve())):
        (source / INDEX).write_text(json.dumps({"weight_map": {"a": name}}))
        fault = copied(source)[1]
        assert fault is not None
        assert fault.kind == "unfit"
    assert not models_folder().exists()


def test_the_room_is_looked_at_first(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    fault = copied(source)[1]
    assert fault is not None
    assert fault.kind == "disk"
    assert not (installation.partial(models_folder() / "gemma") / WEIGHTS).exists()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def tell_by_record(source: Path) -> None:
    hashes = {name: sha256(data) for name, data in content(source).items()}
    installation.write_record(source, installation.InstallRecord(hashes={**hashes, "config.json": "no hash"}))


def tell_by_metadata(source: Path) -> None:
    """As `hf download --local-dir` does."""
    left = source / ".cache" / "huggingface" / "download"
    left.mkdir(parents=True)
    for file in list(source.iterdir()):
        if file.is_file():
            (left / f"{file.name}.metadata").write_text(f"commit\n{blob(file.read_bytes())}\n1.5\n")


def tell_by_names(source: Path) -> None:
    """As the Hub's cache does."""
    blobs = source.parent / "blobs"
    blobs.mkdir()
    for file in list(source.iterdir()):
        if file.is_file():
            kept = blobs / sha256(file.read_bytes())
            file.rename(kept)
            file.symlink_to(kept)


@pytest.mark.parametrize("tell", [tell_by_record, tell_by_metadata, tell_by_names])
def test_weights_that_are_not_what_was_downloaded_are_refused(
    source: Path, tell: Callable[[Path], None]
) -> None:
    tell(source)
    whole = (source / WEIGHTS).read_bytes()
    (source / WEIGHTS).write_bytes(whole[:-64] + bytes(64))
    fault = copied(source)[1]
    assert fault is not None
    assert (fault.kind, fault.message) == (
        "damaged",
        f"Not as it was when it was downloaded: “{WEIGHTS}”.",
    )
    assert str(source) in fault.remedy
    assert not (models_folder() / "gemma").exists()
    (source / WEIGHTS).write_bytes(whole)
    reports, fault = copied(source)
    assert fault is None
    assert any(isinstance(report, Progress) and report.stage == "verifying" for report in reports)


@pytest.mark.parametrize(
    ("tell", "checked"), [(tell_by_metadata, True), (tell_by_record, False), (None, False)]
)
def test_a_copy_is_called_checked_where_every_hash_was_compared(
    source: Path, tell: Callable[[Path], None] | None, checked: bool
) -> None:
    if tell:
        tell(source)
    assert copied(source)[1] is None
    arrived = next(model for model in library.local_models() if model.folder.name == "gemma")
    assert arrived.checked == checked


def test_a_disk_that_keeps_no_times(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "utime", refuse)
    assert copied(source)[1] is None


@pytest.mark.parametrize("name", ["config.json", WEIGHTS, INDEX, "LICENSE"])
def test_a_stick_that_cannot_be_looked_at_is_named(
    source: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original = Path.stat

    def pulled(path: Path, **rest: bool) -> os.stat_result:
        if path == source / name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(path, **rest)

    monkeypatch.setattr(Path, "stat", pulled)
    fault = copied(source)[1]
    assert fault is not None
    assert str(source) in fault.message
    assert name == "config.json" or "connected" in fault.remedy


def test_a_stick_that_is_not_there_is_asked_for(source: Path) -> None:
    shutil.rmtree(source)
    fault = copied(source)[1]
    assert fault is not None
    assert str(source) in fault.message
    assert "connected" in fault.remedy


def test_a_file_that_grows_shorter_while_it_is_copied_is_named(source: Path) -> None:
    fault = copied(source, lambda: os.truncate(source / WEIGHTS, 9))[1]
    assert fault is not None
    assert f"“{source}/" in fault.message
    assert "connected" in fault.remedy


def test_a_stick_that_is_pulled_out_is_named(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.open

    def pulled(path: Path, mode: str = "r", **rest: object) -> object:
        if mode == "rb" and path == source / WEIGHTS:
            raise OSError(5, "Input/output error")
        return original(path, mode, **rest)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", pulled)
    fault = copied(source)[1]
    assert fault is not None
    assert WEIGHTS in fault.message
    assert "connected" in fault.remedy
    assert not (models_folder() / "gemma").exists()
