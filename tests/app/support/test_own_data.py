"""What is removed, what stays, and when nothing is."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from app.documents.files import held_lock
from app.documents.recovery import RecoveryStore
from app.support.own_data import DataPart, busy, data_parts, is_there, remove, size_bytes
from engine.checkpoints.catalogue import models_folder

MODELS = "data/mezzotint/models"
OWN = (
    f"{MODELS}/gemma/model.safetensors",
    f"{MODELS}/gemma/download.json",
    f"{MODELS}/other.partial/download.json",
    f"{MODELS}/.trash-0a/model.safetensors",
    f"{MODELS}/other.lock",
    "data/mezzotint/engine/active.json",
    "data/mezzotint/provenance/0a-0b.json",
    "data/mezzotint/provenance/0a-0c.json.unreadable",
    "data/mezzotint/engine/a/bin/python",
    "data/mezzotint/packed/gemma-0a-4-bit/model.safetensors",
    "cache/mezzotint/triton/kernel",
    "state/mezzotint/log/mezzotint.log",
    "state/mezzotint/log/mezzotint.log.1",
    "state/mezzotint/log/runs/a.run",
    "state/mezzotint/locks/a.lock",
    "state/mezzotint/recovery/a.lock",
    "state/mezzotint/0123456789abcdef",
    "state/mezzotint/recent.json",
    "config/mezzotint/settings.json",
    "config/mezzotint/settings.json.unreadable1",
)
WRITERS = (
    "state/mezzotint/recovery/a/a.recovery",
    "config/mezzotint/presets/1 Continue.txt",
    "data/mezzotint/history/history.sqlite",
    "data/mezzotint/history/history.sqlite-wal",
    "data/mezzotint/history/history.sqlite.unreadable",
)
OTHERS = (
    "Documents/ferry.md",
    "stick/mine/model.safetensors",
    "stick/linked/model.safetensors",
    "stick/linked/config.json",
    f"{MODELS}/mine/model.safetensors",
    "config/other/settings.json",
    "data/other/file",
)


@pytest.fixture
def home(own_folders: Path) -> Path:
    """With all that Mezzotint may keep there, and with what is not Mezzotint's."""
    for name in (*OWN, *WRITERS, *OTHERS):
        file = own_folders / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 1000)
    (own_folders / MODELS / "linked").symlink_to(own_folders / "stick" / "linked")
    return own_folders


def parts(home: Path) -> list[DataPart]:
    return data_parts([str(home / MODELS / "mine"), str(home / "stick" / "mine")])


def files_in(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir() or path.is_symlink()}


def folders_in(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_dir()}


def test_what_was_promised_is_what_is_left(home: Path) -> None:
    assert remove(part for part in parts(home) if not part.is_writers) == []
    assert files_in(home) == {*WRITERS, *OTHERS}


def test_the_writers_own_work_goes_where_he_asks_for_it(home: Path) -> None:
    assert remove(parts(home)) == []
    assert files_in(home) == set(OTHERS)
    assert {folder for folder in folders_in(home) if "mezzotint" in folder} == {
        "data/mezzotint",
        MODELS,
        f"{MODELS}/mine",
    }


def test_each_part_goes_alone(home: Path) -> None:
    for part in parts(home):
        before = files_in(home)
        assert is_there(part)
        assert remove([part]) == []
        assert not is_there(part)
        assert before - files_in(home) <= {*OWN, *WRITERS, f"{MODELS}/linked"}
        assert remove([part]) == []


def test_a_file_of_somebody_else_keeps_its_folder(home: Path) -> None:
    foreign = home / "state" / "mezzotint" / "notes.txt"
    foreign.touch()
    remove(parts(home))
    assert foreign.exists()


def test_models_that_were_moved_by_a_link_go_and_the_disk_stays(own_folders: Path) -> None:
    disk = own_folders / "disk"
    (disk / "gemma").mkdir(parents=True)
    (disk / "gemma" / "config.json").touch()
    models_folder().parent.mkdir(parents=True)
    models_folder().symlink_to(disk)
    assert remove(data_parts([])) == []
    assert list(disk.iterdir()) == []
    assert not os.path.lexists(models_folder().parent)


@pytest.mark.parametrize("place", ["models", "packed"])
def test_on_a_disk_that_a_link_leads_to_only_models_go(own_folders: Path, place: str) -> None:
    disk = own_folders / "disk"
    stays = {disk / "photos" / "ferry.jpg", disk / "notes.txt", disk / ".hidden" / "mail"}
    goes = {
        "models": {disk / "diffusiongemma-26b" / "model.safetensors", disk / "gemma" / "config.json"},
        "packed": {
            disk / "gemma-01234567-4-bit" / "config.json",
            disk / "gemma-01234567-fp8-a.writing" / "a",
        },
    }
    for file in (*stays, *goes[place], disk / ".trash-0a" / "model.safetensors"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    models_folder().parent.mkdir(parents=True)
    (models_folder().parent / place).symlink_to(disk)
    assert remove(data_parts([])) == []
    assert {path for path in disk.rglob("*") if path.is_file()} == stays


def test_sizes_follow_no_link_and_count_a_file_once(tmp_path: Path) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "a").write_bytes(b"x" * 1000)
    os.link(folder / "a", folder / "b")
    (tmp_path / "elsewhere").write_bytes(b"x" * 10_000)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    part = DataPart(label="", paths=(folder, tmp_path / "none"))
    assert 1000 <= size_bytes(part) < 2000


def test_a_window_without_a_text_keeps_no_text(qapp: object, own_folders: Path) -> None:
    store = RecoveryStore()
    texts = next(part for part in data_parts([]) if "Texts" in part.label)
    assert not is_there(texts)
    assert texts.paths == ()
    store.new_file().write_bytes(b"x")
    assert [part.label for part in data_parts([]) if part.is_writers and is_there(part)] == [texts.label]
    store.close()


def test_the_empty_folder_of_a_run_that_died_goes(own_folders: Path) -> None:
    (own_folders / "state" / "mezzotint" / "recovery" / "0a").mkdir(parents=True)
    assert remove([]) == []
    assert not (own_folders / "state" / "mezzotint").exists()


def test_nothing_goes_while_another_window_is_open(qapp: object, home: Path) -> None:
    other, own = RecoveryStore(), RecoveryStore()
    assert "window" in busy(own.lock_file)
    other.close()
    assert busy(own.lock_file) == ""
    assert "window" in busy()
    own.close()
    assert busy() == ""


def test_nothing_goes_while_a_model_comes(qapp: object, home: Path) -> None:
    lock = held_lock(models_folder() / "other.lock")
    assert lock is not None
    assert "downloaded" in busy()
    lock.unlock()
    assert busy() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="a file that nobody can remove lies in /proc")
def test_what_cannot_be_removed_is_named_and_keeps_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    stays = DataPart(label="", paths=(Path("/proc/self/status"), tmp_path / "a"))
    assert [problem.startswith("“/proc/self/status”") for problem in remove([stays])] == [True]
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no sockets in folders here")
def test_odd_files_go_like_any(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_folders / "state" / "mezzotint"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)  # a socket's name may not be long
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("0123456789abcdef")
    os.mkfifo("recent.json")
    assert remove(data_parts([])) == []
    assert not folder.exists()
