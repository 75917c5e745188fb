"""The HistoryActions: what can be done with a draft of the history."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMessageBox, QWidget

from app.documents.difference_text import shown_differences
from app.documents.text import LINE_END
from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_session import DraftSession
from app.editor.page import Page
from app.editor.placement import Placement, end_of_word
from app.history.compare import passage_like
from app.history.record import DraftRecord
from app.history.store import HistoryStore
from app.history.words import differs_from
from app.widgets.question import question, set_default
from app.widgets.text_dialog import TextDialog
from app.worker.model_session import ModelSession


class HistoryActions(QObject):
    told = Signal(str, str)
    """A message and what to make of it."""
    deleted = Signal(int)
    """The id of the draft."""
    emptied = Signal()

    def __init__(
        self,
        store: HistoryStore,
        page: Page,
        drafts: DraftController,
        commands: DraftCommands,
        model: ModelSession,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._page = page
        self._commands = commands
        self._model = model
        self._parent = parent
        self._again: dict[DraftSession, DraftRecord] = {}
        drafts.settled.connect(self._on_settled)
        drafts.ended.connect(lambda draft: self._again.pop(draft, None))

    def insert(self, text: str) -> None:
        """At the caret, as one undo step; the caret goes behind it."""
        placement = Placement(end_of_word(self._page.textCursor()))
        self._page.setTextCursor(placement.apply(placement.shown(text)))
        self._page.setFocus()

    def copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)

    def compare(self, text: str) -> None:
        """With what is selected, else with the passage of the text that is most like it."""
        cursor = self._page.textCursor()
        now = LINE_END.sub("\n", cursor.selectedText())
        if not now:
            now = passage_like(LINE_END.sub("\n", self._page.text()), text)
        if not now:
            self.told.emit("Nothing in your text is like this draft.", "Select what to compare it with.")
            return
        legend = "Only in the draft", "only in your text"
        html = shown_differences(text, now, legend, "Your text has just these words.")
        TextDialog("The draft and your text", html, "", self._parent.window()).open()

    def draft_again(self, record: DraftRecord) -> None:
        """At the caret, with the same seed; what differs is told once it is there."""
        draft = self._commands.draft_again(record.asked.request, record.verb, record.instruction)
        if draft:
            self._again[draft] = record
        self._page.setFocus()

    def _on_settled(self, draft: DraftSession) -> None:
        record = self._again.pop(draft, None)
        if record is None or self._model.ready is None:
            return
        texts = [variant.text for variant in draft.variants]
        if texts != [variant.text for variant in record.variants]:
            message, reason = differs_from(record, self._model.ready, len(texts))
            self.told.emit(message, reason)

    def show_prompt(self, record: DraftRecord) -> None:
        from html import escape

        prompt = record.asked.prompt
        html = f"<pre style='white-space: pre-wrap'>{escape(prompt) or 'Nothing: the page was empty.'}</pre>"
        TextDialog("What was sent", html, prompt, self._parent.window()).open()

    def ask_delete(self, number: int) -> None:
        def delete() -> None:
            self._store.delete(number)
            self.deleted.emit(number)

        self._ask("Delete this draft from the history?", "Your text stays as it is.", "Delete", delete)

    def ask_delete_all(self) -> None:
        def delete_all() -> None:
            self._store.delete_all()
            self.emptied.emit()

        self._ask(
            "Delete the whole history?",
            "Every draft in it is deleted from this computer, for good. Your texts stay as they are.",
            "Delete all",
            delete_all,
        )

    def _ask(self, text: str, detail: str, act: str, do: Callable[[], None]) -> None:
        box = question(text, detail, self._parent.window())
        button = box.addButton(act, QMessageBox.ButtonRole.DestructiveRole)
        set_default(box, box.addButton("Keep it", QMessageBox.ButtonRole.RejectRole))
        button.clicked.connect(do)
        box.open()
