"""What to do about a file that another program changed: Reload, Keep mine, Compare."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QWidget

from app.documents.disk_watch import DiskWatch
from app.documents.files import OpenedFile
from app.documents.text import LINE_END
from app.widgets.message_bar import Choice, MessageBar
from app.window.document_view import DocumentView
from engine.protocol.errors import Fault

if TYPE_CHECKING:
    from app.window.file_actions import FileActions


class DiskChanges(QObject):
    """Tells of them in the message bar; nothing happens to the text until the writer says so."""

    def __init__(self, view: DocumentView, files: FileActions, notice: MessageBar, window: QWidget) -> None:
        super().__init__(window)
        self._view = view
        self._files = files
        self._notice = notice
        self._window = window
        self._told = ""
        self.watch = DiskWatch(view.document, self)
        self.watch.changed.connect(self._on_changed)
        self.watch.lost.connect(self._on_lost)
        self.watch.matched.connect(self._on_settled)

    def _on_changed(self, found: OpenedFile) -> None:
        self._tell(
            f"“{found.path.name}” was changed by another program.",
            "Your text is still here; after Reload, Undo brings it back.",
            ("Reload", partial(self._reload, found)),
            ("Keep mine", partial(self._keep, found)),
            ("Compare…", partial(self._compare, found)),
        )

    def _on_lost(self, fault: Fault) -> None:
        path = self._view.document.path
        assert path is not None
        self._view.document.keep()
        save_as = "Save as…", self._files.save_as
        if os.path.lexists(path):
            self._tell(fault.message, "The text that you see is still here, not saved.", save_as)
        else:
            gone = f"“{path.name}” was deleted, moved or renamed by another program."
            self._tell(gone, "Your text is still here.", ("Save it again", self._files.save), save_as)

    def _tell(self, message: str, remedy: str, *ways: Choice) -> None:
        self._notice.show_message(message, remedy, *ways)
        self._told = self._notice.text

    def _on_settled(self) -> None:
        if self._told == self._notice.text:
            self._notice.hide()

    def _reload(self, found: OpenedFile) -> None:
        """What is at the page's top stays there."""
        page = self._view.page
        top, bar = QTextCursor(page.firstVisibleBlock()), page.verticalScrollBar()
        below = bar.value() - top.block().firstLineNumber()
        self._view.document.reload(found)
        bar.setValue(top.block().firstLineNumber() + below)
        self._on_settled()

    def _keep(self, found: OpenedFile) -> None:
        self._view.document.keep(found)
        self._on_settled()

    def _compare(self, found: OpenedFile) -> None:
        from app.documents.difference_text import shown_differences
        from app.widgets.text_dialog import TextDialog

        own, new = (LINE_END.sub("\n", text) for text in (self._view.page.text(), found.text))
        same = "The words are the same; the ends of lines, or the mark at the start, differ."
        html = shown_differences(own, new, ("Only in your text", "only in the file"), same)
        TextDialog(f"“{found.path.name}” and your text", html, "", self._window).open()
