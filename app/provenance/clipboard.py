"""Whose the words are that are copied, pasted and dragged."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import msgspec
from PySide6.QtCore import QMimeData, QObject

from app.documents.text import LINE_END, utf16_length
from app.editor.page import Page
from app.provenance.paragraphs import UNKNOWN, Run
from app.provenance.tracker import Provenance

MIME_TYPE = "application/x-mezzotint-words"


class _Copied(msgspec.Struct, frozen=True):
    """Beside the text, which it does not hold."""

    checksum: int
    """Of the text: another program may have changed it."""
    runs: tuple[Run, ...]


def put_runs(data: QMimeData, runs: Sequence[Run]) -> None:
    copied = _Copied(_checksum(data.text()), tuple(runs))
    data.setData(MIME_TYPE, msgspec.json.encode(copied))


def runs_in(data: QMimeData, text: str) -> list[Run]:
    """Of the text that the data comes in as. Without a word of the app's own it is unknown whose it is."""
    try:
        copied = msgspec.json.decode(data.data(MIME_TYPE).data(), type=_Copied)
    except msgspec.DecodeError:
        copied = None
    if copied is None or copied.checksum != _checksum(text):
        return [Run(0, utf16_length(text), UNKNOWN)]
    return list(copied.runs)


def _checksum(text: str) -> int:
    return crc32(LINE_END.sub("\n", text).encode("utf-8", "surrogatepass"))


class ClipboardWords(QObject):
    """Of one page."""

    def __init__(self, page: Page, provenance: Provenance) -> None:
        super().__init__(page)
        self._page = page
        self._provenance = provenance
        page.copying.connect(self._on_copying)
        page.pasting.connect(self._on_pasting)
        page.taking_out.connect(self._on_taking_out)

    def _on_copying(self, data: QMimeData) -> None:
        cursor = self._page.textCursor()
        put_runs(data, self._provenance.runs_between(cursor.selectionStart(), cursor.selectionEnd()))

    def _on_pasting(self, data: QMimeData, text: str) -> None:
        cursor, text = self._page.textCursor(), LINE_END.sub("\n", text)
        runs = runs_in(data, text)
        self._provenance.replace(cursor.selectionStart(), cursor.selectionEnd(), text, runs)

    def _on_taking_out(self) -> None:
        cursor = self._page.textCursor()
        self._provenance.replace(cursor.selectionStart(), cursor.selectionEnd(), "")
