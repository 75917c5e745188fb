"""The page of the side panel with the prompt: all that the model is given, and what was left out."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase, QGuiApplication, QHideEvent, QShowEvent, QTextCursor
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from app.provenance.prompt_facts import prompt_facts
from app.provenance.sent_text import SentText
from app.widgets.panel import MARGIN, filled, heading, link, named, text_label, title_row
from app.worker.model_session import ModelSession


class PromptPage(QWidget):
    back = Signal()
    """The writer goes back to the settings."""
    closed = Signal()
    """The writer wants the panel gone."""

    def __init__(self, sent: SentText, model: ModelSession) -> None:
        super().__init__()
        self.setProperty("panel", True)
        self.setAccessibleName("What is sent")
        self._sent = sent
        self._model = model
        self.back_link = link("‹  Settings", self.back.emit, "Back to the settings")
        self.facts = text_label("About the prompt")
        self.search = named(QLineEdit(), "Find in the prompt")
        self.search.setPlaceholderText("Find in it")
        self.search.returnPressed.connect(self.find_next)
        self.text = named(QPlainTextEdit(readOnly=True), "The prompt")
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setTabChangesFocus(True)
        self.copy = QPushButton("&Copy")
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text.toPlainText()))
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, 18, MARGIN, 24)
        rows.setSpacing(6)
        rows.addLayout(title_row(heading("What is sent"), self.closed.emit))
        rows.addWidget(self.back_link, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addSpacing(8)
        rows.addWidget(self.facts)
        rows.addSpacing(8)
        rows.addLayout(filled(QHBoxLayout(), self.search, self.copy))
        rows.addWidget(self.text, 1)
        sent.changed.connect(self._show)
        model.changed.connect(self._show)
        self._show()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._sent.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._sent.watch(False)

    def find_next(self) -> None:
        """From the cursor on, then from the beginning."""
        if not self.text.find(self.search.text()):
            self.text.moveCursor(QTextCursor.MoveOperation.Start)
            self.text.find(self.search.text())

    def _show(self) -> None:
        sent = self._sent.current
        prompt = sent.prompt.prompt if sent and sent.prompt else ""
        self.facts.setText(prompt_facts(sent, self._model.ready))
        if prompt != self.text.toPlainText():
            self.text.setPlainText(prompt)
        for part in (self.search, self.copy):
            part.setEnabled(bool(prompt))
