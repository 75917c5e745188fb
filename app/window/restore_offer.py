"""The offer of a text that an earlier run left: restore it, or throw it away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QLocale, QObject
from PySide6.QtWidgets import QWidget

from app.widgets.message_bar import MessageBar
from app.window.document_view import DocumentView

if TYPE_CHECKING:
    from app.window.file_actions import FileActions

# The dialogs are imported where they are asked for: the first paint does not need them.
_BEGIN_CHARS = 60


class RestoreOffer(QObject):
    """In a message bar of its own, one text after the other, the newest first."""

    def __init__(self, view: DocumentView, files: FileActions, offer: MessageBar, window: QWidget) -> None:
        super().__init__(window)
        self._view = view
        self._document = view.document
        self._files = files
        self._offer = offer
        self._window = window

    def left_text(self) -> str:
        """What is told of the newest text that was left; empty if there is none."""
        left = self._document.left_behind()
        if left is None:
            return ""
        name = f"“{Path(left.copy.path).name}”" if left.copy.path else "A text without a name"
        written_at = QDateTime.fromSecsSinceEpoch(int(left.written_at))
        when = QLocale(QLocale.Language.English).toString(written_at, "d MMMM yyyy 'at' HH:mm")
        begin = f" {_begin_of(left.copy.text)}".rstrip()
        return f"{name} was not saved.{begin} It was last written on {when}."

    def show(self) -> None:
        if told := self.left_text():
            ways = ("Restore it", self.restore), ("Throw it away…", self._ask_throw_away)
            self._offer.show_message(told, "", *ways)
        else:
            self._offer.hide()

    def restore(self) -> bool:
        """Whether it is open now: another text may have to be saved first, another window may be faster."""
        self._files.when_saved(self._restore_now)
        return self._view.page.document().isModified()

    def _restore_now(self) -> None:
        self._files.remember_caret()
        self._view.drafts.discard_all()
        self._document.restore()
        self.show()
        self._files.changes.watch.check(anew=True)
        self._view.page.setFocus()

    def _ask_throw_away(self) -> None:
        from PySide6.QtWidgets import QMessageBox

        from app.widgets.question import question, set_default

        box = question("Throw this text away?", "It cannot be brought back.", self._window)
        throw = box.addButton("Throw it away", QMessageBox.ButtonRole.DestructiveRole)
        set_default(box, box.addButton("Keep it", QMessageBox.ButtonRole.RejectRole))
        throw.clicked.connect(self._throw_away)
        box.open()

    def _throw_away(self) -> None:
        self._document.throw_away()
        self.show()


def _begin_of(text: str) -> str:
    """Its first words, in quotation marks."""
    words = " ".join(text[: 10 * _BEGIN_CHARS].split())
    if len(words) > _BEGIN_CHARS:
        cut = words[: _BEGIN_CHARS + 1].rpartition(" ")[0] or words[:_BEGIN_CHARS]
        words = f"{cut} …"
    return words and f"“{words}”"
