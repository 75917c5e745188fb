"""A document is saved in place where it cannot be replaced, and is held by one window."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QTextDocument

from app.documents import files
from app.documents.document import Document
from app.documents.files import held_lock
from app.documents.recovery import RecoveryStore
from app.documents.text import document_text, set_document_text
from engine.protocol.errors import FaultError, reason_of


def test_five_megabytes_open_and_save(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    data = ("word " * 200 + "\n").encode() * 5200
    path.write_bytes(data)
    opened = files.read(path)
    document = QTextDocument()
    set_document_text(document, opened.text)
    files.write(path, document_text(document), expected_digest=opened.digest)
    assert path.read_bytes() == data


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.EIO])
def test_why_a_file_could_not_be_saved_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "write_atomically", fail)
    with pytest.raises(FaultError) as raised:
        files.write(tmp_path / "a.txt", "text")
    reason, remedy = reason_of(OSError(number, os.strerror(number)))
    assert reason in raised.value.fault.message
    assert remedy in raised.value.fault.remedy


@pytest.fixture(params=[0o555, 0o1777], ids=["no new files", "no file replaced"])
def closed_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """One may write to the file `a.txt` in it, and neither replace it nor, mostly, make another. Root may do
    all, and gives that up for the test; another user cannot make a file that belongs to somebody else.
    """
    if not hasattr(os, "setresuid"):
        pytest.skip("no users and modes as on Linux here")
    is_root, mode = os.geteuid() == 0, request.param
    if mode == 0o1777 and not is_root:
        pytest.skip("needs root, to make another user's file")
    with tempfile.TemporaryDirectory(prefix="mz") as name:  # all may enter it, unlike tmp_path
        Path(name).chmod(0o777)
        folder = Path(name) / "folder"
        folder.mkdir()
        (folder / "a.txt").write_text("old")
        (folder / "a.txt").chmod(0o666)
        folder.chmod(mode)
        if is_root:
            try:
                os.setresuid(65534, 65534, 0)
            except OSError:
                pytest.skip("root may not become another user here")
        try:
            yield folder
        finally:
            if is_root:
                os.setresuid(0, 0, 0)
            folder.chmod(0o777)


def test_a_writable_file_is_saved_where_it_cannot_be_replaced(qapp: object, closed_folder: Path) -> None:
    path = closed_folder / "a.txt"
    inode = path.stat().st_ino
    store = RecoveryStore(closed_folder.parent / "recovery")
    text = QTextDocument()
    document = Document(text, store)
    document.show(document.read(path))
    for new in ("a longer text", "b", ""):
        set_document_text(text, new)
        document.save(path)
        assert path.read_text() == new
    assert path.stat().st_ino == inode
    assert [entry.name for entry in closed_folder.iterdir()] == ["a.txt"]
    document.close()
    store.close()
    assert not list((closed_folder.parent / "recovery").glob("*/*.recovery"))


def test_nothing_is_written_in_place_without_a_copy(closed_folder: Path) -> None:
    path = closed_folder / "a.txt"

    def no_room() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FaultError, match="the disk is full"):
        files.write(path, "new", before_in_place=no_room)
    with pytest.raises(FaultError):
        files.write(path, "new")
    assert path.read_text() == "old"


def test_what_changed_meanwhile_is_not_written_over_in_place(closed_folder: Path) -> None:
    path = closed_folder / "a.txt"
    with pytest.raises(FaultError) as caught:
        files.write(path, "new", expected_digest="another", before_in_place=lambda: None)
    assert caught.value.fault.kind == "changed-on-disk"
    assert path.read_text() == "old"


@pytest.fixture
def fill_the_disk() -> Iterator[Callable[[], None]]:
    """No file can grow past 4 KiB then."""
    resource = pytest.importorskip("resource", reason="no way to limit a file's size here")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_in_place_gives_the_old_text_back(
    fill_the_disk: Callable[[], None], closed_folder: Path
) -> None:
    path = closed_folder / "a.txt"
    with pytest.raises(FaultError):
        files.write(path, "new " * 10_000, before_in_place=fill_the_disk)
    assert path.read_text() == "old"


@pytest.mark.parametrize("closed_folder", [0o555], indirect=True)
def test_a_folder_that_takes_no_file_is_named(closed_folder: Path) -> None:
    with pytest.raises(FaultError, match=re.escape(str(closed_folder))):
        files.write(closed_folder / "b.txt", "new")


HOLD = """
import sys; from pathlib import Path; from app.documents.files import held_lock
lock = held_lock(Path(sys.argv[1])); print(lock is not None, flush=True); sys.stdin.read()
"""


def test_a_lock_lives_as_long_as_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert held_lock(path) is None
        holder.kill()
    # As in a sandbox, where the next run has the dead one's process id.
    path.write_text(f"{os.getpid()}\n" + path.read_text().split("\n", 1)[1])
    lock = held_lock(path)
    assert lock is not None
    assert files.held_lock(path) is None


def test_where_no_lock_can_be_kept_nobody_is_said_to_hold_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        held_lock(tmp_path / "gone" / "a.lock")


def test_a_document_is_locked_whatever_its_path_is_spelled_like(tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    lock = files.lock(tmp_path / "a.txt")
    assert lock is not None
    assert files.lock(tmp_path / "link.txt") is None
    del lock
    assert files.lock(tmp_path / "link.txt") is not None
