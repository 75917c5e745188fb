"""The form that asks for a repository on the Hub."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.models.download_queue import page_of
from app.widgets.panel import named, show_linked, text_label


class HubForm(QWidget):
    """Asks which model to look up."""

    asked = Signal(str)
    """What was typed."""

    def __init__(self) -> None:
        super().__init__(visible=False)
        self.repo = named(QLineEdit(placeholderText="owner/model"), "Model on the Hub")
        self.repo.returnPressed.connect(self._on_asked)
        self.repo.textChanged.connect(self._show_note)
        self.fetch = named(QPushButton("Look it up"), "Look the model up on the Hub")
        self.fetch.clicked.connect(self._on_asked)
        self.note = text_label("About looking it up", quiet=True)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.repo)
        rows.addWidget(self.fetch, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(self.note)
        self._show_note("")

    @property
    def controls(self) -> list[QWidget]:
        """All that take keys, from the top."""
        return [self.repo, self.fetch, self.note]

    def _show_note(self, repo: str) -> None:
        page = page_of(repo) or "its page on huggingface.co"
        show_linked(
            self.note,
            "Mezzotint asks Hugging Face how large it is, under which licence it stands and whether it fits "
            f"this computer. Nothing else is downloaded until you say so. More about it: {page}.",
        )

    def _on_asked(self) -> None:
        self.asked.emit(self.repo.text())
