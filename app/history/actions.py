"""The HistoryActions: what can be done with a draft of the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QMimeData, QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMessageBox, QWidget

from app.documents.difference_text import shown_differences
from app.documents.text import LINE_END
from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_session import DraftSession
from app.editor.page import Page
from app.editor.placement import Placement, end_of_word
from app.history import queries
from app.history.compare import passage_like
from app.history.record import DraftRecord
from app.history.replay.trace import Trace
from app.history.store import HistoryStore
from app.history.words import differs_from
from app.widgets.question import question, set_default
from app.widgets.text_dialog import TextDialog
from app.worker.background import BackgroundCall
from app.worker.model_session import ModelSession
from engine.protocol.errors import Fault, FaultError

NO_STEPS = Fault("trace", "No steps were kept of this draft.")


class HistoryActions(QObject):
    told = Signal(str, str)
    """A message and what to make of it."""
    putting_in = Signal(Placement, str, str)
    """Where a draft is about to be put in, as which text, and the model that drafted it."""
    copying = Signal(QMimeData, str)
    """A draft goes into this, and the model that drafted it."""
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
        self._search = BackgroundCall("look for a passage", self)
        self._search.returned.connect(self._show_differences)
        self._again: dict[DraftSession, DraftRecord] = {}
        drafts.settled.connect(self._on_settled)
        drafts.ended.connect(lambda draft: self._again.pop(draft, None))

    def insert(self, text: str, model: str) -> None:
        """At the caret, as one undo step; the caret goes behind it."""
        placement = Placement(end_of_word(self._page.textCursor()))
        shown = placement.shown(text)
        self.putting_in.emit(placement, shown, model)
        self._page.setTextCursor(placement.apply(shown))
        self._page.setFocus()

    def copy(self, text: str, model: str) -> None:
        data = self._page.mime_data(text)
        self.copying.emit(data, model)
        QGuiApplication.clipboard().setMimeData(data)

    def compare(self, text: str) -> None:
        """With what is selected, else with the passage of the text that is most like it."""
        selected = LINE_END.sub("\n", self._page.textCursor().selectedText())
        if selected:
            self._show_differences((text, selected))
        elif not self._search.busy:
            whole = self._page.text()
            self._search.start(lambda: (text, passage_like(LINE_END.sub("\n", whole), text)))

    def _show_differences(self, texts: tuple[str, str]) -> None:
        """Of a draft, and of what stands now."""
        draft, now = texts
        if not now:
            self.told.emit("Nothing in your text is like this draft.", "Select what to compare it with.")
            return
        legend = "Only in the draft", "only in your text"
        html = shown_differences(draft, now, legend, "Your text has just these words.")
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

    def replay(self, number: int, variant: int, then: Callable[[Trace], object]) -> None:
        """then: called with the steps of that variant of that draft; where there are none, that is told."""
        self._store.read(partial(_trace, number=number, variant=variant), partial(self._on_trace, then))

    def _on_trace(self, then: Callable[[Trace], object], found: Trace | Fault) -> None:
        if isinstance(found, Fault):
            self.told.emit(found.message, found.remedy)
        else:
            then(found)

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


def _trace(database: sqlite3.Connection, number: int, variant: int) -> Trace | Fault:
    data = queries.trace(database, number, variant)
    try:
        return Trace.decode(data) if data else NO_STEPS
    except FaultError as error:
        return error.fault
