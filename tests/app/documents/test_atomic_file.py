"""A file is written at once or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QSaveFile

from app.documents.atomic_file import write_atomically


def test_what_the_check_raises_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "texts" / "text"
    file.parent.mkdir()
    write_atomically(file, b"old")

    def check() -> None:
        assert file.read_bytes() == b"old"
        raise LookupError

    with pytest.raises(LookupError):
        write_atomically(file, b"new", check)
    assert file.read_bytes() == b"old"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_no_file_comes_in_the_place_of_what_is_none(tmp_path: Path) -> None:
    """A link may lead to a device, which root could replace for the whole system."""
    device, link = tmp_path / "device", tmp_path / "text"
    os.mkfifo(device)
    link.symlink_to(device)
    with pytest.raises(OSError, match="not an ordinary file"):
        write_atomically(link, b"text")
    assert device.is_fifo()


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QSaveFile, "write", lambda *_data: -1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=3))
    with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}"):
        write_atomically(tmp_path / "text", b"four")


def test_the_system_s_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=os.strerror(errno.ENOTDIR)):
        write_atomically(tmp_path / "file" / "below", b"")
