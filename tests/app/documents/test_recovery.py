"""Recovery copies: what is kept of a text that is not saved, and what the next run makes of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from PySide6.QtGui import QTextCursor, QTextDocument
from pytestqt.qtbot import QtBot

from app.documents import recovery
from app.documents.document import Document
from app.documents.recovery import Recovery, RecoveryStore
from app.documents.text import set_document_text
from app.documents.text_copy import PIECE_UNITS
from tests.app.timers import timer_of


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


def test_the_copy_is_on_the_disk_before_a_file_is_written_in_place(qapp: object, root: Path) -> None:
    store, text = RecoveryStore(root), QTextDocument("typed")
    kept = Recovery(text, store)
    kept.write_at_once()
    (copy,) = copies(root)
    assert b"typed" in copy.read_bytes()
    kept.close()
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


def test_a_copy_is_due_half_a_second_after_the_first_key(qapp: object, root: Path) -> None:
    """With the time that it takes, no more than a second of typing is missing."""
    store = RecoveryStore(root)
    document = QTextDocument()
    kept = Recovery(document, store)
    QTextCursor(document).insertText("typed")
    due = timer_of(kept, recovery.LATEST_MS)
    began = due.timerId()
    assert due.isActive()
    assert due.interval() <= 500
    QTextCursor(document).insertText("and typed on")
    assert due.timerId() == began  # not put off
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


def test_a_long_text_is_read_in_slices_with_what_changes_meanwhile(
    qtbot: QtBot, root: Path, short_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "SLICE_S", 0)
    store = RecoveryStore(root)
    document = QTextDocument()
    kept = Recovery(document, store)
    text = "word 🌊\n" * (5 * PIECE_UNITS)
    QTextCursor(document).insertText(text)
    kept.write_now()
    store.submit(lambda: None).result()
    assert copies(root) == []
    QTextCursor(document).insertText("Typed. ")
    qtbot.waitUntil(lambda: len(copies(root)) == 1)
    store.close()
    (left,) = RecoveryStore(root).pending()
    assert left.copy.text == "Typed. " + text
