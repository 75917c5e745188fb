"""What lies among the recovery copies and is odd hides none of the others, and holds up no start."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from PySide6.QtGui import QTextCursor, QTextDocument

from app.documents import files, recovery
from app.documents.document import Document
from app.documents.recent_files import RecentFile, RecentFiles
from app.documents.recovery import Recovery, RecoveryCopy, RecoveryStore
from app.settings.store import SettingsStore

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "recovery"


@pytest.fixture
def folder(root: Path) -> Path:
    """A dead run's, with one good copy."""
    store = RecoveryStore(root)
    text = QTextDocument()
    kept = Recovery(text, store)
    QTextCursor(text).insertText("good")
    kept.write_now()
    store.close()
    return next(root.glob("*/"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    cwd = Path.cwd()
    os.chdir(path.parent)  # a socket's name may not be long
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(cwd)


ODD: list[Callable[[Path], object]] = [
    pipe,
    listening,
    Path.mkdir,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("nowhere"),
    lambda path: path.symlink_to(path.name),
    lambda path: path.write_bytes(b'{"a":' + b"[" * 100_000),
    lambda path: path.write_bytes(b'{"text": "\\ud800", "path": null, "bom": false, "digest": null}'),
]
IDS = ["pipe", "socket", "folder", "device", "dangling link", "link to itself", "deep", "half a character"]


@pytest.mark.parametrize("make", ODD, ids=IDS)
def test_what_is_no_copy_hides_no_copy(
    root: Path, folder: Path, make: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    make(folder / "odd.recovery")
    if make is not ODD[3]:  # the lock of a folder beside it, too
        (root / "odd").mkdir()
        make(root / "odd.lock")
    store = RecoveryStore(root)
    assert [left.copy.text for left in store.pending()] == ["good"]
    assert os.path.lexists(folder / "odd.recovery")
    store.close()
    caplog.clear()


@pytest.mark.parametrize("when", ["2026-11-29T12:00:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z"])
def test_a_copy_of_any_date_is_offered(root: Path, folder: Path, when: str) -> None:
    odd = {"path": None, "bom": False, "digest": None, "text": "odd", "written_at": when}
    (folder / "odd.recovery").write_bytes(msgspec.json.encode(odd))
    store = RecoveryStore(root)
    assert sorted(left.copy.text for left in store.pending()) == ["good", "odd"]
    store.close()


@pytest.mark.parametrize("path", ["/no\0where", "", "/" + "x" * 5000, "relative"])
def test_a_copy_of_any_path_is_restored(root: Path, folder: Path, path: str) -> None:
    odd = RecoveryCopy(path=path, bom=False, digest=None, text="odd")
    (folder / "odd.recovery").write_bytes(msgspec.json.encode(odd))
    os.utime(folder / "odd.recovery", (2**33, 2**33))
    store, text = RecoveryStore(root), QTextDocument()
    document = Document(text, store)
    assert document.left_behind() is not None
    document.restore()
    assert text.toPlainText() == "odd"
    document.close()
    store.close()


def test_another_start_that_is_faster_changes_nothing(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one takes a dead run's folder away while this one looks at it."""
    store = RecoveryStore(root)

    def overtaken(path: Path) -> object:
        shutil.rmtree(path.with_suffix(""))
        return files.held_lock(path)

    monkeypatch.setattr(recovery, "held_lock", overtaken)
    assert store.pending() == []
    store.close()


@pytest.mark.parametrize("make", ODD[:6], ids=IDS[:6])
def test_settings_and_recent_files_may_be_odd_too(
    tmp_path: Path, make: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path / "settings.json")
    store = SettingsStore(tmp_path / "settings.json")
    store.change(font_size_px=28)
    assert SettingsStore(tmp_path / "settings.json").current.font_size_px == 28
    make(tmp_path / "recent.json")
    recent = RecentFiles(tmp_path / "recent.json")
    recent.put(tmp_path / "settings.json", 3)
    assert recent.all() == [RecentFile(str(tmp_path / "settings.json"), 3)]
    caplog.clear()
