"""The statement of what was drafted, to be copied or saved beside the document."""

from __future__ import annotations

from collections import Counter
from html import escape
from pathlib import Path

from PySide6.QtCore import QDate, QLocale, Signal
from PySide6.QtWidgets import QFileDialog, QPushButton, QWidget

from app.documents import files
from app.documents.document import Document
from app.provenance.statement import statement
from app.widgets.text_dialog import TextDialog
from engine.protocol.errors import Fault, FaultError


class StatementDialog(TextDialog):
    failed = Signal(Fault)

    def __init__(
        self, document: Document, words: int, owners: Counter[str], version: str, window: QWidget
    ) -> None:
        date = QLocale(QLocale.Language.English).toString(QDate.currentDate(), "d MMMM yyyy")
        paragraphs = statement(document.name, words, owners, version, date)
        self.statement = "\n\n".join(paragraphs) + "\n"
        html = "".join(f"<p>{escape(each)}</p>" for each in paragraphs)
        super().__init__("What was drafted", html, self.statement, window)
        self._document = document
        save = QPushButton("&Save beside the text…")
        save.clicked.connect(self._ask_where)
        self.buttons.insertWidget(self.buttons.count() - 1, save)

    def _ask_where(self) -> None:
        stem = self._document.path.stem if self._document.path else self._document.name
        path = Path(self._document.folder()) / f"{stem} – what was drafted.txt"
        dialog = QFileDialog(self, "Save the statement", str(path.parent), "Text (*.txt)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("txt")
        dialog.selectFile(path.name)
        dialog.fileSelected.connect(lambda chosen: self.save(Path(chosen)))
        dialog.open()

    def save(self, path: Path) -> None:
        try:
            files.write(path, self.statement)
        except FaultError as error:
            self.failed.emit(error.fault)
            return
        self.accept()
