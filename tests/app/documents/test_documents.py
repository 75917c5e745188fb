"""A document that is saved in place, held by one window, and copied while it changes."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QTextCursor, QTextDocument
from pytestqt.qtbot import QtBot

from app.documents import files, recovery
from app.documents.document import Document
from app.documents.files import held_lock
from app.documents.recovery import Recovery, RecoveryStore
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
    assert copies(closed_folder.parent / "recovery") == []


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


def test_the_copy_is_on_the_disk_before_a_file_is_written_in_place(qapp: object, root: Path) -> None:
    store, text = RecoveryStore(root), QTextDocument("typed")
    kept = Recovery(text, store)
    kept.write_at_once()
    (copy,) = copies(root)
    assert b"typed" in copy.read_bytes()
    kept.close()
    store.close()


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "recovery"


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "LATEST_MS", 60)


def copies(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.recovery"))


def dead_run(root: Path, text: str, path: Path | None = None) -> None:
    """A store whose process ended without closing its document."""
    store = RecoveryStore(root)
    document = QTextDocument()
    recovery_of = Recovery(document, store, path=path, bom=True, digest="d")
    QTextCursor(document).insertText(text)
    recovery_of.write_now()
    store.close()


@pytest.mark.parametrize("restored", [True, False])
def test_what_is_restored_or_thrown_away_is_what_was_offered(
    qapp: object, root: Path, restored: bool
) -> None:
    dead_run(root, "offered")
    store = RecoveryStore(root)
    text = QTextDocument()
    document = Document(text, store)
    offered = document.left_behind()
    assert offered is not None
    dead_run(root, "newer")  # another window crashes while the writer thinks
    if restored:
        document.restore()
        assert text.toPlainText() == "offered"
    else:
        document.throw_away()
        store.submit(lambda: None).result()
    assert [left.copy.text for left in store.pending()] == ["newer"]
    document.close()
    store.close()


@pytest.mark.parametrize("fault", [errno.ENOENT, errno.EACCES])
def test_a_copy_that_cannot_be_moved_is_restored_where_it_is(
    qtbot: QtBot, root: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    dead_run(root, "typed")
    store = RecoveryStore(root)
    text = QTextDocument()
    document = Document(text, store)
    assert document.left_behind() is not None

    def refuse(_path: Path, _target: Path) -> Path:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(Path, "rename", refuse)
    with qtbot.waitSignal(document.failed):
        document.throw_away()
    document.restore()
    assert text.toPlainText() == "typed"
    assert text.isModified()
    assert len(store.pending()) == 1
    document.close()
    store.close()


def test_a_file_saved_by_another_name_of_its_is_not_open_elsewhere(
    qtbot: QtBot, root: Path, tmp_path: Path
) -> None:
    store = RecoveryStore(root)
    document = Document(QTextDocument(), store)
    file, link = tmp_path / "a.txt", tmp_path / "link.txt"
    document.save(file)
    link.symlink_to(file)
    with qtbot.assertNotEmitted(document.failed):
        document.save(link, overwrite=True)
    document.close()
    store.close()


def test_an_edit_is_copied_and_a_save_removes_the_copy(qtbot: QtBot, root: Path, short_waits: None) -> None:
    store = RecoveryStore(root)
    document = QTextDocument()
    kept = Recovery(document, store)
    QTextCursor(document).insertText("typed")
    qtbot.waitUntil(lambda: len(copies(root)) == 1)
    assert store.pending() == []
    document.setModified(False)
    kept.rebase(root / "a.txt", False, "digest")
    store.close()
    assert copies(root) == []
    assert list(root.iterdir()) == []


def test_steady_typing_is_copied_too(qtbot: QtBot, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "LATEST_MS", 20)
    store = RecoveryStore(root)
    document = QTextDocument()
    kept = Recovery(document, store)
    QTextCursor(document).insertText("typed")
    qtbot.waitUntil(lambda: len(copies(root)) == 1)
    kept.close()
    store.close()


def test_undo_to_the_saved_text_removes_the_copy(qtbot: QtBot, root: Path, short_waits: None) -> None:
    store = RecoveryStore(root)
    document = QTextDocument()
    kept = Recovery(document, store)
    QTextCursor(document).insertText("typed")
    qtbot.waitUntil(lambda: len(copies(root)) == 1)
    document.undo()
    qtbot.waitUntil(lambda: copies(root) == [])
    kept.close()
    store.close()


def test_the_next_run_offers_what_a_dead_one_left(qapp: object, root: Path) -> None:
    dead_run(root, "first\u00a0text", Path("/somewhere/a.txt"))
    dead_run(root, "untitled")
    store, other = RecoveryStore(root), RecoveryStore(root)
    pending = store.pending()
    assert [left.copy.text for left in pending] == ["untitled", "first\u00a0text"]
    assert pending[0].copy.path is None
    named = pending[1].copy
    assert (named.path, named.bom, named.digest) == ("/somewhere/a.txt", True, "d")

    claimed = store.claim(pending[0].file)
    assert claimed is not None
    assert other.claim(pending[0].file) is None
    assert [left.copy.text for left in other.pending()] == ["first\u00a0text"]
    document = QTextDocument()
    set_document_text(document, pending[0].copy.text)
    kept = Recovery(document, store, copy=claimed)
    kept.close()
    kept.close()
    store.discard(pending[1].file)
    store.close()
    assert copies(root) == []
    assert other.pending() == []
    other.close()


def test_a_damaged_copy_is_left_alone(qapp: object, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    dead_run(root, "text")
    damaged = copies(root)[0]
    damaged.write_bytes(b"{")
    store = RecoveryStore(root)
    assert store.pending() == []
    assert "cannot be read" in caplog.text
    caplog.clear()
    assert damaged.exists()
    store.close()


def test_a_folder_that_cannot_be_written_is_told_and_typing_goes_on(
    qtbot: QtBot, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root.touch()
    store = RecoveryStore(root)
    document = QTextDocument()
    kept = Recovery(document, store)
    QTextCursor(document).insertText("typed")
    with qtbot.waitSignal(store.failed):
        kept.write_now()
    store.close()
    assert "No recovery copies" in caplog.text
    caplog.clear()
    assert document.toPlainText() == "typed"


def test_a_copy_of_five_megabytes_does_not_hold_the_writer_up(qapp: object, root: Path) -> None:
    store = RecoveryStore(root)
    document = QTextDocument()
    kept = Recovery(document, store)
    QTextCursor(document).insertText(("word " * 200 + "\n") * 5200)
    started = time.perf_counter()
    kept.write_now()
    held_up_s = time.perf_counter() - started
    store.close()
    assert held_up_s < 0.5, "measured: 0.03 s"
    assert copies(root)[0].stat().st_size > 5_000_000
