"""Recovery copies: what the writer typed outlives the app, saved or not."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import msgspec
import platformdirs
from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtGui import QTextDocument

from app.documents.atomic_file import read_ordinary, write_atomically
from app.documents.files import held_lock
from app.documents.text_copy import TextCopy
from app.widgets.timers import timer
from engine.protocol.errors import Fault, reason_of
from engine.protocol.file_format import NewerFormatError, check_format

FORMAT = 1
"""Of a copy; raise it whenever a field's name or meaning changes."""
LATEST_MS = 500
"""A change is being copied after so long: with the time that this takes, it is kept within a second."""
_AGAIN_MS = 20
SLICE_S = 0.008
"""The text is read in slices, so that no key waits for it."""
SAVE_YOURSELF = "Save your text yourself, and often, until there is room again."
_SUFFIX = ".recovery"
_log = logging.getLogger(__name__)


class RecoveryCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was not saved."""

    path: str | None
    """None if it never had one."""
    bom: bool
    digest: str | None
    """Of the file when it was read; None if it may be replaced whatever it holds."""
    text: str
    beside: msgspec.Raw = msgspec.Raw(b"null")
    """What others keep with it."""
    format: int = FORMAT


class LeftCopy(NamedTuple):
    """A copy that a dead run left."""

    file: Path
    copy: RecoveryCopy
    written_at: float
    """The file's own time, in seconds since 1970."""


class RecoveryStore(QObject):
    """The copies of one run of the app, in a folder of its own whose lock is held while the run lives."""

    failed = Signal(Fault)
    """A copy could not be written. Emitted in the writing thread, so connect a QObject's slot."""

    def __init__(self, root: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._root = root or platformdirs.user_state_path("mezzotint", appauthor=False) / "recovery"
        self._folder = self._root / secrets.token_hex(16)
        self._lock: QLockFile | None = None
        self.lock_file = self._folder.with_suffix(".lock")
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The lock comes first: a folder without a held lock belongs to a dead run.
            self._lock = held_lock(self.lock_file)
            self._folder.mkdir(mode=0o700)
        except OSError as error:
            _log.error("No recovery copies can be kept in %s: %s", self._root, error)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recovery")

    def pending(self) -> list[LeftCopy]:
        """What dead runs left, the newest first. A damaged copy, or a newer version’s, stays as it is."""
        found = []
        for folder in self._root.glob("*/"):
            try:
                lock = held_lock(folder.with_suffix(".lock"))
            except OSError as error:
                _log.warning("Earlier recovery copies cannot be offered: %s", error)
                continue
            if lock is None:
                continue
            for file in folder.glob(f"*{_SUFFIX}"):
                try:
                    data = read_ordinary(file)
                    check_format(data, FORMAT)
                    copy = msgspec.json.decode(data, type=RecoveryCopy)
                    found.append(LeftCopy(file, copy, file.stat().st_mtime))
                except NewerFormatError as error:
                    _log.info("The recovery copy %s is a newer version’s: %s", file, error)
                except (OSError, msgspec.DecodeError, RecursionError) as error:
                    _log.warning("The recovery copy %s cannot be read: %s", file, error)
            with contextlib.suppress(OSError):  # another start was faster, or it is not empty
                folder.rmdir()
            lock.unlock()
        return sorted(found, key=lambda left: left.written_at, reverse=True)

    def claim(self, file: Path) -> Path | None:
        """Move a dead run's copy to this run; None if another run was faster. Raises OSError."""
        try:
            return file.rename(self._folder / file.name)
        except FileNotFoundError:
            if file.exists():
                raise
            return None

    def discard(self, file: Path) -> None:
        self.submit(lambda: file.unlink(missing_ok=True))

    def new_file(self) -> Path:
        return self._folder / f"{secrets.token_hex(16)}{_SUFFIX}"

    def submit(self, job: Callable[[], None]) -> Future[None]:
        """Run a job after those before it, in a thread of its own."""
        return self._writer.submit(self._run, job)

    def close(self) -> None:
        """Wait for what is being written. Copies of documents that were not closed stay for the next run."""
        self._writer.shutdown()
        with contextlib.suppress(OSError):  # it is not empty, or could not be made
            self._folder.rmdir()
        self._lock = None

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except (OSError, ValueError) as error:
            _log.error("A recovery copy could not be kept in %s: %s", self._folder, error)
            message = f"No recovery copy of your text could be kept: {reason_of(error)[0]}."
            self.failed.emit(Fault("recovery", message, SAVE_YOURSELF))


class Recovery(QObject):
    """Keeps the copy of one document: written while it changes, gone once there is nothing to lose."""

    def __init__(
        self,
        document: QTextDocument,
        store: RecoveryStore,
        *,
        path: Path | None = None,
        bom: bool = False,
        digest: str | None = None,
        copy: Path | None = None,
        beside: Callable[[], Callable[[], object]] = lambda: lambda: None,
    ) -> None:
        """copy: a claimed one that this document's text came from; beside: tells what else a copy holds, as
        the text is now; what it returns is called in the writing thread.
        """
        super().__init__(document)
        self._document = document
        self._store = store
        self._path, self._bom, self._digest = path, bom, digest
        self._beside = beside
        self._file = copy or store.new_file()
        self._job: Future[None] | None = None
        self._closed = False
        self._text = TextCopy(document)
        self._ahead = timer(self, self._read_ahead, 0)
        if not document.isEmpty():
            self._ahead.start()
        self._latest = timer(self, self.write_now, LATEST_MS, single_shot=True)
        document.contentsChanged.connect(self._on_contents_changed)

    def rebase(self, path: Path | None, bom: bool, digest: str | None) -> None:
        """The file holds this now; where that is the document's text, the copy goes."""
        self._path, self._bom, self._digest = path, bom, digest
        self.write_now()

    def close(self) -> None:
        """The document was saved, or its writer gave it up: the copy goes and none comes after it."""
        if not self._closed:
            self._closed = True
            self._document.contentsChanged.disconnect(self._on_contents_changed)
            self._ahead.stop()
            self._text.close()
            self._remove()

    def write_now(self) -> None:
        if self._closed:
            return
        if not self._document.isModified():
            self._remove()
            return
        if self._job is not None and not self._job.done():
            self._latest.start(_AGAIN_MS)
            return
        if not self._text.read(monotonic() + SLICE_S):
            self._latest.start(0)
            return
        self._latest.stop()
        self._job = self._store.submit(self._write_job())

    def leave(self) -> None:
        """The app ends now: what is not saved stays for the next start. Raises OSError or ValueError."""
        if self._document.isModified():
            self.write_at_once()
            self._closed = True
            self._latest.stop()
            self._document.contentsChanged.disconnect(self._on_contents_changed)

    def write_at_once(self, before_in_place: bool = False) -> None:
        """The copy is on the disk when this returns, changes or not. Raises OSError or ValueError.

        before_in_place: a crash may leave a part of the text in the document's file, to be replaced then.
        """
        self._store.submit(lambda: None).result()  # an older one must not come after it
        self._write_job(before_in_place)()

    def _write_job(self, before_in_place: bool = False) -> Callable[[], None]:
        """Writes the text of this moment."""
        self._text.read()
        file, pieces, beside = self._file, self._text.pieces(), self._beside()
        copy = RecoveryCopy(
            path=str(self._path) if self._path else None,
            bom=self._bom,
            digest=None if before_in_place else self._digest,
            text="",
        )
        return lambda: write_atomically(file, _encoded(copy, pieces, beside()))

    def _read_ahead(self) -> None:
        if self._text.read(monotonic() + SLICE_S):
            self._ahead.stop()

    def _on_contents_changed(self) -> None:
        if not self._latest.isActive():
            self._latest.start(LATEST_MS)

    def _remove(self) -> None:
        self._latest.stop()
        self._store.discard(self._file)


def _encoded(copy: RecoveryCopy, pieces: Iterable[str], beside: object) -> bytes:
    """With this text, encoded by the piece: meanwhile other threads have their turns."""
    text = b"".join(msgspec.json.encode(piece)[1:-1] for piece in pieces)
    fields = {"text": msgspec.Raw(b'"%b"' % text), "beside": beside}
    return msgspec.json.encode(msgspec.structs.asdict(copy) | fields)
