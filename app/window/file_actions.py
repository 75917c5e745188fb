"""New, open, save: the questions around a document, so that no text is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QWidget

from app.documents.recent_files import RecentFiles
from app.documents.text import cursor_over
from app.widgets.message_bar import MessageBar
from app.window.disk_changes import DiskChanges
from app.window.document_view import DocumentView
from app.window.restore_offer import RestoreOffer
from engine.protocol.errors import FaultError

# The dialogs are imported where they are asked for: the first paint does not need them.
_FILTER = "Text and Markdown (*.txt *.md *.markdown *.text);;All files (*)"


class FileActions(QObject):
    """notice: for what went wrong; offer: for what an earlier run left; window: the dialogs' parent."""

    def __init__(self, view: DocumentView, notice: MessageBar, offer: MessageBar, window: QWidget) -> None:
        super().__init__(window)
        self._view = view
        self._document = view.document
        self._notice = notice
        self._offer = offer
        self._window = window
        self.recent = RecentFiles()
        self.changes = DiskChanges(view, self, notice, window)
        self.left_behind = RestoreOffer(view, self, offer, window)

    def new(self) -> None:
        self.when_saved(self._new_now)

    def _new_now(self) -> None:
        self.remember_caret()
        self._view.drafts.discard_all()
        self._document.new()

    # ---------------------------------------------------------------- open

    def open(self) -> None:
        self.when_saved(self._ask_open)

    def _ask_open(self) -> None:
        from PySide6.QtWidgets import QFileDialog

        dialog = QFileDialog(self._window, "Open", self._document.folder(), _FILTER)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.open_path(Path(path)))
        dialog.open()

    def open_dropped(self, paths: list[str]) -> None:
        """The first of them: one document at a time."""
        self.when_saved(lambda: self.open_path(Path(paths[0])))

    def open_path(self, path: Path, or_new: bool = False) -> None:
        """or_new: a file that is not there is an empty page of that name, made when it is saved. A file that
        cannot be opened leaves the open text, and a draft in it, as they are.
        """
        try:
            opened = self._document.read(path, or_new)
        except FaultError as error:
            self._notice.show_fault(error.fault)
            return
        self._notice.hide()
        self.remember_caret()
        self._view.drafts.discard_all()
        self._document.show(opened)
        page, document = self._view.page, self._view.page.document()
        cursor = cursor_over(document, min(self.recent.caret_in(opened.path), document.characterCount() - 1))
        page.setTextCursor(cursor)
        page.scroll_to_line_of(cursor)
        self.remember_caret()

    def take(self, path: Path | None, or_new: bool = False) -> None:
        """What was asked for elsewhere; a file that is open already stays as it is."""
        if path is not None and path != self._document.path:
            self.when_saved(partial(self.open_path, path, or_new))

    # ---------------------------------------------------------------- recent files

    def remember_caret(self) -> None:
        """The open file becomes the newest of the recent ones, with the caret's place."""
        if self._document.path is not None:
            self.recent.put(self._document.path, self._view.page.textCursor().position())

    def offer_last(self) -> None:
        """Go on with the file that was open last; the offer goes when something is written instead."""
        last = next(iter(self.recent.all()), None)
        if last is None or self._document.path is not None or not self._offer.isHidden():
            return
        way = "Open it", partial(self.take, Path(last.path))
        self._offer.show_message(f"“{Path(last.path).name}” was open last.", "", way)
        once = Qt.ConnectionType.SingleShotConnection
        self._view.page.document().contentsChanged.connect(self._offer.hide, once)

    # ---------------------------------------------------------------- save

    def save(self) -> None:
        """Save; without a file, ask for one first."""
        if self._document.path is None:
            self.save_as()
        else:
            self.save_to(self._document.path)

    def save_as(self, then: Callable[[], object] | None = None) -> None:
        """then: what to do once the text is saved."""
        from PySide6.QtWidgets import QFileDialog

        path = self._document.path or self._free_path()
        dialog = QFileDialog(self._window, "Save as", str(path.parent), _FILTER)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(path.suffix or "md")
        dialog.selectFile(path.name)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def on_selected(path: str) -> None:
            if self.save_to(Path(path), anew=True) and then is not None:
                then()

        dialog.fileSelected.connect(on_selected)
        dialog.open()

    def _free_path(self) -> Path:
        """A name for this text that no file in the folder has."""
        from app.window.file_name import proposed_name

        folder = Path(self._document.folder())
        folder = folder if folder.is_dir() else Path.home()
        name = Path(proposed_name(self._view.page.text()))
        names = (folder / f"{name.stem}{f' {n}' if n > 1 else ''}{name.suffix}" for n in count(1))
        return next(path for path in names if not path.exists())

    def save_to(self, path: Path, anew: bool = False) -> bool:
        """Whether the text stands in the file now. anew: the writer chose this file just now."""
        self._notice.hide()
        try:
            self._document.save(path, overwrite=anew)
        except FaultError as error:
            if error.fault.kind != "changed-on-disk" or not self.changes.watch.check(anew=True):
                self._notice.show_fault(error.fault, ("Save as…", self.save_as))
            return False
        self.remember_caret()
        return True

    def when_saved(self, act: Callable[[], object]) -> None:
        """Ask about unsaved text first; act once nothing is left to lose or the writer gave it up."""
        if not self._view.page.document().isModified():
            act()
            return
        from PySide6.QtWidgets import QMessageBox

        from app.widgets.question import question, set_default

        buttons = QMessageBox.StandardButton
        name = f"Save the changes to “{self._document.name}”?"
        box = question(name, "What you do not save is lost.", self._window)
        set_default(box, box.addButton(buttons.Save))
        box.addButton(buttons.Discard).setText("Don’t save")
        box.addButton(buttons.Cancel)

        def on_finished(answer: int) -> None:
            path = self._document.path
            if answer == buttons.Discard or (answer == buttons.Save and path and self.save_to(path)):
                act()
            elif answer == buttons.Save and path is None:
                self.save_as(act)

        box.finished.connect(on_finished)
        box.open()
