"""Keep a document's provenance: with its recovery copies, and in a record when it is saved."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Signal

from app.documents.document import Document
from app.provenance.record import Places, Record, found_again, placed, places_of, record_of
from app.provenance.store import read_record, write_record
from app.provenance.tracker import Provenance
from engine.protocol.errors import Fault, reason_of

_log = logging.getLogger(__name__)


class ProvenanceKeeper(QObject):
    failed = Signal(Fault)
    """Emitted in the writing thread too, so connect a QObject's slot."""

    def __init__(self, provenance: Provenance, document: Document) -> None:
        super().__init__(document)
        self._provenance = provenance
        self._document = document
        self._has_told = False
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="provenance")
        self.failed.connect(document.failed)
        document.beside = self._beside
        document.replaced.connect(self._on_replaced)
        document.reloading.connect(self._on_reloading)
        document.saved.connect(self._on_saved)

    def close(self) -> None:
        """Wait for what is being written."""
        self._writer.shutdown()

    def _beside(self) -> Callable[[], object]:
        return partial(places_of, self._provenance.paragraphs())

    def _on_replaced(self) -> None:
        """The copy that was restored tells, else the record of the file."""
        if places := self._restored():
            self._provenance.take(placed(places.marked, self._provenance.texts()))
        elif record := self._record(self._document.digest):
            texts = self._provenance.texts()
            is_same = record.digest == self._document.digest and len(record.paragraphs) == len(texts)
            is_same = is_same and self._document.restored is None
            self._provenance.take(placed(record.marked, texts) if is_same else found_again(record, texts))
        else:
            self._provenance.reset()

    def _restored(self) -> Places | None:
        if self._document.restored is None:
            return None
        try:
            return msgspec.json.decode(self._document.restored, type=Places | None)
        except msgspec.DecodeError as error:
            _log.warning("What was drafted in a recovery copy could not be read: %s", error)
            return None

    def _record(self, digest: str | None) -> Record | None:
        path = self._document.path
        if path is None or digest is None:
            return None
        record, kept_aside = read_record(path, digest)
        if kept_aside:
            message = f"What was known of the drafted words in “{path.name}” could not be read."
            self.failed.emit(Fault("provenance", message, f"The old file is kept as {kept_aside.name}."))
        return record

    def _on_reloading(self, digest: str) -> None:
        """Another window may have saved it; else, what the file has of the text as it is is whose it was."""
        record = self._record(digest)
        if record and record.digest == digest:
            self._provenance.expect(partial(placed, record.marked))
        elif paragraphs := self._provenance.paragraphs():
            before = record_of("", self._provenance.texts(), paragraphs)
            self._provenance.expect(partial(found_again, before))

    def _on_saved(self) -> None:
        self._provenance.expect(None)
        path, digest = self._document.path, self._document.digest
        if path is None or digest is None:
            return
        paragraphs = self._provenance.paragraphs()
        texts = self._provenance.texts() if paragraphs else []
        self._writer.submit(self._write, path, partial(record_of, digest, texts, paragraphs))

    def _write(self, path: Path, record: Callable[[], Record]) -> None:
        try:
            write_record(path, record())
        except OSError as error:
            _log.error("What was drafted in %s could not be kept: %s", path, error)
            if not self._has_told:
                self._has_told = True
                reason, remedy = reason_of(error)
                message = f"Which words of “{path.name}” were drafted could not be kept: {reason}."
                self.failed.emit(Fault("provenance", message, remedy or "The text itself is saved."))
