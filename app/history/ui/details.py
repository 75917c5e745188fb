"""One draft of the history: its text, where it comes from, what can be done with it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.history.actions import HistoryActions
from app.history.record import DraftRecord, VariantRecord
from app.history.ui.draft_text import DraftText
from app.history.words import facts
from app.widgets.labels import tool_button
from app.widgets.panel import MARGIN, breakable, link, text_label
from app.widgets.wrapping_row import WrappingRow


class DraftDetails(QWidget):
    """Shows one variant of it at a time."""

    def __init__(self, actions: HistoryActions) -> None:
        super().__init__()
        self._actions = actions
        self.record: DraftRecord | None = None
        self.number = 0
        """Of the variant that is shown."""
        self.text = DraftText()
        self.facts = text_label("About this draft", quiet=True)
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.previous = tool_button("‹", "Previous draft of this place", lambda: self.show_variant(-1))
        self.next = tool_button("›", "Next draft of this place", lambda: self.show_variant(1))
        self.variant = QLabel()
        self.variant.setProperty("quiet", True)
        self.insert = link("Insert", lambda: actions.insert(self.text.toPlainText()), "Insert at the caret")
        self.copy = link("Copy", lambda: actions.copy(self.text.toPlainText()), "Copy the draft")
        self.compare = link("Compare", self._compare, "Compare with your text")
        self.again = link("Draft again", self._draft_again, "Draft again with the same seed")
        self.prompt = link("What was sent", self._show_prompt)
        self.delete = link("Delete…", self._delete, "Delete it from the history")
        self._build()
        self.show_draft(None)

    def _build(self) -> None:
        variants = QHBoxLayout()
        variants.setSpacing(2)
        for part in (self.previous, self.variant, self.next):
            part.setProperty("bare", True)
            variants.addWidget(part)
        variants.addStretch(1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, 12, MARGIN, 12)
        rows.setSpacing(8)
        rows.addWidget(self.text)
        rows.addLayout(variants)
        rows.addWidget(
            WrappingRow(self.insert, self.copy, self.compare, self.again, self.prompt, self.delete)
        )
        rows.addWidget(self.facts)

    @property
    def shown(self) -> VariantRecord | None:
        return self.record.variants[self.number] if self.record else None

    def show_draft(self, record: DraftRecord | None) -> None:
        """The variant that was kept, else the first; None: nothing."""
        self.record = record
        self.number = (record.kept or 0) if record else 0
        self.setVisible(record is not None)
        self._show()

    def show_variant(self, by: int) -> None:
        """Another one of the same draft."""
        if self.record and 0 <= self.number + by < len(self.record.variants):
            self.number += by
            self._show()

    def _show(self) -> None:
        record, shown = self.record, self.shown
        if record is None or shown is None:
            self.text.clear()
            return
        self.text.setPlainText(shown.text)
        self.facts.setText(breakable(facts(record, shown)))
        count = len(record.variants)
        for part in (self.previous, self.variant, self.next):
            part.setVisible(count > 1)
        self.previous.setEnabled(self.number > 0)
        self.next.setEnabled(self.number + 1 < count)
        self.variant.setText(f"{self.number + 1} of {count}")

    def _compare(self) -> None:
        self._actions.compare(self.text.toPlainText())

    def _draft_again(self) -> None:
        if self.record:
            self._actions.draft_again(self.record)

    def _show_prompt(self) -> None:
        if self.record:
            self._actions.show_prompt(self.record)

    def _delete(self) -> None:
        if self.record:
            self._actions.ask_delete(self.record.id)
