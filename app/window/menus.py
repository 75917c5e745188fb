"""The menus."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from app.drafting.draft_actions import DraftActions
from app.settings.schema import Settings, limits
from app.settings.store import SettingsStore
from app.window.document_view import DocumentView
from app.window.file_actions import FileActions

_NAME_PX = 420
_KEY = QKeySequence.StandardKey


class FileMenu(QMenu):
    def __init__(self, files: FileActions, state: Callable[[], object], window: QWidget) -> None:
        """state: tells what was drafted."""
        super().__init__("&File", window)
        self.addAction("New", _KEY.New, files.new)
        self.addAction("Open…", _KEY.Open, files.open)
        self.addMenu(RecentMenu(files, self))
        self.addSeparator()
        self.addAction("Save", _KEY.Save, files.save)
        self.addAction("Save as…", "Ctrl+Shift+S", lambda: files.save_as())
        self.addAction("What was drafted…", state)
        self.addSeparator()
        self.addAction("Quit", "Ctrl+Q", window.close)


class RecentMenu(QMenu):
    """Filled each time it is opened."""

    def __init__(self, files: FileActions, parent: QWidget) -> None:
        super().__init__("Open recent", parent)
        self._files = files
        self.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        self.clear()
        for recent in self._files.recent.all():
            path = Path(recent.path)
            text = self.fontMetrics().elidedText(
                f"{path.name}  –  {path.parent}", Qt.TextElideMode.ElideMiddle, _NAME_PX
            )
            action = self.addAction(text.replace("&", "&&"), partial(self._files.take, path))
            action.setToolTip(recent.path)
        if self.isEmpty():
            self.addAction("No files yet").setEnabled(False)
            return
        self.addSeparator()
        self.addAction("Clear", self._files.recent.clear)


class EditMenu(QMenu):
    def __init__(self, view: DocumentView, window: QWidget) -> None:
        super().__init__("&Edit", window)
        page, document = view.page, view.page.document()
        undo = self.addAction("Undo", _KEY.Undo, page.undo)
        redo = self.addAction("Redo", _KEY.Redo, page.redo)
        for action, available in ((undo, document.undoAvailable), (redo, document.redoAvailable)):
            action.setEnabled(False)
            available.connect(action.setEnabled)
        self.addSeparator()
        self.addAction("Cut", _KEY.Cut, page.cut)
        self.addAction("Copy", _KEY.Copy, view.picking.copy)
        self.addAction("Paste", _KEY.Paste, page.paste)
        self.addSeparator()
        self.addAction("Select all", _KEY.SelectAll, page.selectAll)
        for action in self.actions():  # keys pressed in the settings are not meant for the page
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        page.addActions(self.actions())
        self.addSeparator()
        self.addAction("Find…", "Ctrl+F", lambda: view.find_bar.open())
        self.addAction("Find next", "F3", lambda: view.find_bar.find_next())
        self.addAction("Find previous", "Shift+F3", lambda: view.find_bar.find_previous())
        self.addAction("Replace…", "Ctrl+H", lambda: view.find_bar.open(replacing=True))


class DraftMenu(QMenu):
    """What can be done with a draft, and with the model."""

    def __init__(self, actions: DraftActions, window: QWidget) -> None:
        super().__init__("&Draft", window)
        self.setToolTipsVisible(True)
        self.addActions([actions.draft, actions.instruct, actions.retry, actions.stop])
        self.addActions([actions.keep, actions.discard, actions.keep_all, actions.discard_all])
        self.addSeparator()
        for action in (*actions.of_selection, actions.bridge, actions.gaps):
            self.addAction(action)
        self.addSeparator()
        self.addActions([actions.keep_sentence, actions.pick, actions.pin, actions.mend])
        self.addActions([actions.corrections, actions.replay])
        self.addSeparator()
        self.addActions([actions.previous, actions.next, actions.names, actions.go_to, actions.bring_back])
        self.of_draft = self.actions()
        self.addSeparator()


class ViewMenu(QMenu):
    def __init__(self, settings: SettingsStore, panel: QAction, window: QWidget) -> None:
        super().__init__("&View", window)
        self._settings = settings
        self._window = window
        larger = self.addAction("Larger text", lambda: self.zoom(1))
        larger.setShortcuts([QKeySequence(_KEY.ZoomIn), QKeySequence("Ctrl+=")])
        self.addAction("Smaller text", _KEY.ZoomOut, lambda: self.zoom(-1))
        self.addAction("Usual size", "Ctrl+0", lambda: self.zoom(0))
        self.addSeparator()
        full = QAction("Full screen", self, checkable=True, shortcut=QKeySequence("F11"))
        full.triggered.connect(self._turn_full_screen)
        self.aboutToShow.connect(lambda: full.setChecked(window.isFullScreen()))
        tint = QAction("Tint what was drafted", self, checkable=True, shortcut=QKeySequence("Ctrl+Shift+D"))
        tint.triggered.connect(lambda on: settings.change(tints_drafted=on))
        self.aboutToShow.connect(lambda: tint.setChecked(settings.current.tints_drafted))
        tint.setChecked(settings.current.tints_drafted)
        self.addActions([panel, full])
        self.addSeparator()
        self.addAction(tint)

    def _turn_full_screen(self) -> None:
        """As the window is: the desktop may have changed it."""
        self._window.setWindowState(self._window.windowState() ^ Qt.WindowState.WindowFullScreen)

    def zoom(self, by: int) -> None:
        """by: 1 larger, -1 smaller, 0 the usual size."""
        low, high = limits("font_size_px")
        size = self._settings.current.font_size_px + 2 * by if by else Settings().font_size_px
        self._settings.change(font_size_px=int(min(high, max(low, size))))
