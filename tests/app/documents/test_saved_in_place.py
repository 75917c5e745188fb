"""A save keeps what the file had: links, owner, group, mode, attributes."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QTextCursor, QTextDocument

from app.documents.atomic_file import write_atomically
from app.documents.document import Document
from app.documents.recovery import Recovery, RecoveryStore
from engine.protocol.errors import FaultError


class Open:
    """A document with the file `a.txt`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a.txt"
        self.path.write_text("old")
        self.store = RecoveryStore(folder / "recovery")
        self.dead = False
        self.text = QTextDocument()
        self.document = Document(self.text, self.store)

    def type(self, text: str) -> None:
        self.document.show(self.document.read(self.path))
        QTextCursor(self.text).insertText(text)

    def close(self) -> None:
        if not self.dead:
            self.document.close()
            self.store.close()

    def die(self) -> None:
        """As without closing the document: its copy stays."""
        self.dead = True
        (copy,) = self.copies
        data = copy.read_bytes()
        self.document.close()
        assert self.copies == []
        copy.write_bytes(data)
        self.store.close()

    @property
    def copies(self) -> list[Path]:
        self.store.submit(lambda: None).result()
        return sorted(self.path.parent.glob("recovery/*/*.recovery"))


@pytest.fixture
def opened(qapp: object) -> Iterator[Open]:
    with tempfile.TemporaryDirectory(prefix="mz") as folder:  # every user may enter it, unlike tmp_path
        Path(folder).chmod(0o777)
        made = Open(Path(folder))
        yield made
        made.close()


@pytest.mark.parametrize("name", ["link.txt", "folder/link.md"])
def test_other_names_of_the_file_have_the_new_text_too(opened: Open, name: str) -> None:
    other = opened.path.parent / name
    other.parent.mkdir(exist_ok=True)
    other.hardlink_to(opened.path)
    opened.type("new, ")
    opened.document.save(opened.path)
    assert other.read_text() == "new, old"
    assert opened.path.samefile(other)
    assert opened.copies == []
    assert not opened.text.isModified()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o2664])
def test_the_mode_is_kept(opened: Open, mode: int) -> None:
    opened.path.chmod(mode)
    opened.type("new, ")
    opened.document.save(opened.path)
    assert stat.S_IMODE(opened.path.stat().st_mode) == mode


@pytest.mark.parametrize(("user", "group"), [(65534, 65534), (0, 100), (65534, 0)])
def test_owner_and_group_are_kept(opened: Open, user: int, group: int) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root, to give a file away")
    os.chown(opened.path, user, group)
    opened.type("new, ")
    opened.document.save(opened.path)
    assert opened.path.read_text() == "new, old"
    assert (opened.path.stat().st_uid, opened.path.stat().st_gid) == (user, group)


def test_who_may_not_give_files_away_writes_in_place(opened: Open) -> None:
    if not hasattr(os, "setresuid") or os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    opened.path.chmod(0o666)
    opened.type("new, ")
    for place in (opened.path.parent / "recovery").rglob("*"):
        os.chown(place, 65534, 65534)
    os.chown(opened.path.parent / "recovery", 65534, 65534)
    os.setresuid(65534, 65534, 0)
    try:
        opened.document.save(opened.path)
    finally:
        os.setresuid(0, 0, 0)
    assert opened.path.read_text() == "new, old"
    assert opened.path.stat().st_uid == 0


ACL = "system.posix_acl_access"
# Version 2; owner rw-, user 1 r--, group r--, mask r--, others ---.
READER = b"\2\0\0\0" + b"".join(
    bytes([tag, 0, rights, 0]) + who
    for tag, rights, who in [
        (1, 6, b"\xff" * 4),
        (2, 4, b"\1\0\0\0"),
        (4, 4, b"\xff" * 4),
        (16, 4, b"\xff" * 4),
        (32, 0, b"\xff" * 4),
    ]
)


@pytest.mark.parametrize(
    ("name", "value"), [("user.origin", b"letter"), (ACL, READER)], ids=["own", "access"]
)
def test_attributes_are_kept(opened: Open, name: str, value: bytes) -> None:
    if sys.platform != "linux":
        pytest.skip("Python knows attributes on Linux alone")
    try:
        os.setxattr(opened.path, name, value)
    except OSError as error:
        pytest.skip(f"no such attributes here: {error}")
    opened.type("new, ")
    opened.document.save(opened.path)
    assert opened.path.read_text() == "new, old"
    assert os.getxattr(opened.path, name) == value


def test_what_has_no_copy_is_replaced(tmp_path: Path) -> None:
    """Settings are written at once or not at all, whatever the file had."""
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    write_atomically(tmp_path / "a", b"new")
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"new", b"old"]


@pytest.fixture
def fill_the_disk() -> Iterator[Callable[[], None]]:
    """No file can be written past 4 KiB then."""
    resource = pytest.importorskip("resource", reason="no way to limit a file's size here")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("old", ["old", "old " * 2000], ids=["comes back", "does not"])
def test_a_disk_that_fills_up_leaves_the_text_in_the_copy(
    opened: Open, fill_the_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch, old: str
) -> None:
    """Only once the copy is written: by then the file is being written over."""
    opened.path.write_text(old)
    (opened.path.parent / "link.txt").hardlink_to(opened.path)
    opened.type("new " * 2000)
    write_first = Recovery.write_at_once

    def write_and_fill(kept: Recovery, before_in_place: bool) -> None:
        write_first(kept, before_in_place)
        fill_the_disk()

    monkeypatch.setattr(Recovery, "write_at_once", write_and_fill)
    with pytest.raises(FaultError) as caught:
        opened.document.save(opened.path)
    assert ("damaged" in caught.value.fault.message) is (len(old) > 4096)
    assert opened.text.isModified()
    (copy,) = opened.copies
    assert ("new " * 2000).encode() in copy.read_bytes()


def test_what_a_crash_left_of_the_file_may_be_replaced(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    (opened.path.parent / "link.txt").hardlink_to(opened.path)
    opened.type("new, ")

    write_first = Recovery.write_at_once

    def write_and_crash(kept: Recovery, before_in_place: bool) -> None:
        write_first(kept, before_in_place)
        opened.path.write_text("ne")
        raise KeyboardInterrupt

    monkeypatch.setattr(Recovery, "write_at_once", write_and_crash)
    with pytest.raises(KeyboardInterrupt):
        opened.document.save(opened.path)
    monkeypatch.undo()
    opened.die()
    store, text = RecoveryStore(opened.path.parent / "recovery"), QTextDocument()
    document = Document(text, store)
    document.left_behind()
    document.restore()
    document.save(opened.path)
    assert opened.path.read_text() == "new, old"
    document.close()
    store.close()
