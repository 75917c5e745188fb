"""The document: its text, its file, and whether that file is still the one that was read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import platformdirs
from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtGui import QTextDocument

from app.documents import files
from app.documents.recovery import LeftCopy, Recovery, RecoveryStore
from app.documents.text import change_document_text, document_text, set_document_text
from engine.protocol.errors import Fault


class Document(QObject):
    """The text that is open, and the file that it belongs to."""

    changed = Signal()
    """It is another document, or another file."""
    replaced = Signal()
    """It is another text; told before `changed`."""
    saved = Signal()
    """The file holds the text as it is now."""
    reloading = Signal(str)
    """The text is about to become what the file of that digest holds."""
    failed = Signal(Fault)
    """Nothing was lost."""

    def __init__(self, document: QTextDocument, store: RecoveryStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self._store = store
        self.id = secrets.token_hex(8)
        """Of this text while it is open: another one that is opened has another."""
        self.path: Path | None = None
        self._bom = False
        self.digest: str | None = None
        """Of the file as it was read or saved."""
        self._lock: QLockFile | None = None
        self._offered: LeftCopy | None = None
        self.beside: Callable[[], Callable[[], object]] = lambda: lambda: None
        """What else a recovery copy of the text holds; the second call may come in another thread."""
        self.restored: msgspec.Raw | None = None
        """That, of the copy that the text came from."""
        self._recovery = self._new_recovery()
        store.failed.connect(self.failed)
        self.changed.connect(self._on_changed)

    @property
    def name(self) -> str:
        return self.path.name if self.path else "Untitled"

    def folder(self) -> str:
        """Where a dialog begins."""
        return str(self.path.parent if self.path else platformdirs.user_documents_path())

    def read(self, path: Path, or_new: bool = False) -> files.OpenedFile:
        """or_new: a file that is not there is an empty one. Raises FaultError; nothing is changed then."""
        path = path.absolute()
        return files.read(path) if not or_new or os.path.lexists(path) else files.new(path)

    def show(self, opened: files.OpenedFile) -> None:
        self._replace(opened.text, opened.path, opened.bom, opened.digest)
        self._take_lock(opened.path)

    def new(self) -> None:
        self._replace("", None, False, None)

    def save(self, path: Path, overwrite: bool = False) -> None:
        """overwrite: the writer chose this file just now. Raises FaultError; the old file is whole."""
        path = path.absolute()
        expected = self.digest if path == self.path and not overwrite else None
        text = document_text(self._document)
        copy_first = partial(self._recovery.write_at_once, before_in_place=path == self.path)
        self.digest = files.write(
            path, text, bom=self._bom, expected_digest=expected, before_in_place=copy_first
        )
        if path != self.path:
            self.path = path
            self._take_lock(path)
        self._document.setModified(False)
        self._rebase()
        self.saved.emit()
        self.changed.emit()

    # ---------------------------------------------------------------- changed by another program

    def matches(self, found: files.OpenedFile) -> bool:
        """Whether the file still is what the text came from, or holds just that text: it is saved then."""
        if found.bom == self._bom and found.text == document_text(self._document):
            self.digest = found.digest
            self._document.setModified(False)
            self._rebase()
            self.saved.emit()
            return True
        return self.digest in (None, found.digest)

    def reload(self, found: files.OpenedFile) -> None:
        """Take the file's text, in one undo step that keeps the caret's place."""
        self.reloading.emit(found.digest)
        change_document_text(self._document, found.text)
        self._bom, self.digest = found.bom, found.digest
        self._document.setModified(False)
        self._rebase()
        self.saved.emit()

    def keep(self, found: files.OpenedFile | None = None) -> None:
        """The text is not saved: its file is gone, or holds what was found, which the next save replaces."""
        if found:
            self.digest = found.digest
        self._document.setModified(True)
        self._rebase()

    def _rebase(self) -> None:
        self._recovery.rebase(self.path, self._bom, self.digest)

    # ---------------------------------------------------------------- its end

    def keep_copy(self) -> None:
        """What is not saved is in a copy, whatever happens to the app. Raises OSError or ValueError."""
        if self._document.isModified():
            self._recovery.write_at_once()

    def leave(self) -> None:
        """The app ends now: what is not saved is offered at the next start. Raises OSError or ValueError."""
        self._recovery.leave()

    def close(self) -> None:
        """The document was saved or given up."""
        self._recovery.close()
        self._lock = None

    def left_behind(self) -> LeftCopy | None:
        """The newest copy of an earlier run that ended without saving, for restore and throw_away."""
        self._offered = next(iter(self._store.pending()), None)
        return self._offered

    def restore(self) -> None:
        """Open that copy as the unsaved text it was."""
        if self._offered is None:
            return
        copy = self._offered.copy
        try:
            claimed = self._store.claim(self._offered.file)
            if claimed is None:
                return
        except OSError:
            claimed = None  # the text is open all the same, and its copy stays where it is
        path = Path(copy.path) if copy.path else None
        self._replace(copy.text, path, copy.bom, copy.digest, claimed, copy.beside)
        self._document.setModified(True)
        if path is not None:
            self._take_lock(path)

    def throw_away(self) -> None:
        """That copy, for good."""
        if self._offered is None:
            return
        try:
            if claimed := self._store.claim(self._offered.file):
                self._store.discard(claimed)
        except OSError as error:
            self.failed.emit(Fault("recovery", f"It could not be thrown away: {error.strerror}."))

    def _replace(
        self,
        text: str,
        path: Path | None,
        bom: bool,
        digest: str | None,
        copy: Path | None = None,
        beside: msgspec.Raw | None = None,
    ) -> None:
        self._recovery.close()
        self._lock = None
        set_document_text(self._document, text)
        self.id = secrets.token_hex(8)
        self.path, self._bom, self.digest = path, bom, digest
        self._recovery = self._new_recovery(copy)
        self.restored = beside
        self.replaced.emit()
        self.changed.emit()

    def _new_recovery(self, copy: Path | None = None) -> Recovery:
        return Recovery(
            self._document,
            self._store,
            path=self.path,
            bom=self._bom,
            digest=self.digest,
            copy=copy,
            beside=lambda: self.beside(),
        )

    def _on_changed(self) -> None:
        """What the text is, as a draft in it has to know, is told by its file's name."""
        self._document.setMetaInformation(QTextDocument.MetaInformation.DocumentUrl, self.name)

    def _take_lock(self, path: Path) -> None:
        self._lock = None  # it may be the same file by another name
        try:
            self._lock = files.lock(path)
        except (OSError, ValueError):  # ValueError: a name with a zero byte
            return
        if self._lock is None:
            self.failed.emit(
                Fault(
                    "locked",
                    f"“{path.name}” is open in another window too.",
                    "Close one of them: the one that saves last would overwrite the other.",
                )
            )
