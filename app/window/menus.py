"""The menus."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from app.drafting.draft_actions import DraftActions
from app.editor.page import Page
from app.settings.schema import Settings, limits
from app.settings.store import SettingsStore
from app.window.file_actions import FileActions

_KEY = QKeySequence.StandardKey


class FileMenu(QMenu):
    def __init__(self, files: FileActions, window: QWidget) -> None:
        super().__init__("&File", window)
        self.addAction("New", _KEY.New, files.new)
        self.addAction("Open…", _KEY.Open, files.open)
        self.addSeparator()
        self.addAction("Save", _KEY.Save, files.save)
        self.addAction("Save as…", "Ctrl+Shift+S", lambda: files.save_as())
        self.addSeparator()
        self.addAction("Quit", "Ctrl+Q", window.close)


class EditMenu(QMenu):
    def __init__(self, page: Page, window: QWidget) -> None:
        super().__init__("&Edit", window)
        document = page.document()
        undo = self.addAction("Undo", _KEY.Undo, page.undo)
        redo = self.addAction("Redo", _KEY.Redo, page.redo)
        for action, available in ((undo, document.undoAvailable), (redo, document.redoAvailable)):
            action.setEnabled(False)
            available.connect(action.setEnabled)
        self.addSeparator()
        self.addAction("Cut", _KEY.Cut, page.cut)
        self.addAction("Copy", _KEY.Copy, page.copy)
        self.addAction("Paste", _KEY.Paste, page.paste)
        self.addSeparator()
        self.addAction("Select all", _KEY.SelectAll, page.selectAll)
        for action in self.actions():  # keys pressed in the settings are not meant for the page
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        page.addActions(self.actions())


class DraftMenu(QMenu):
    """What can be done with a draft, and with the model."""

    def __init__(self, actions: DraftActions, window: QWidget) -> None:
        super().__init__("&Draft", window)
        self.addActions([actions.draft, actions.retry, actions.stop, actions.keep, actions.discard])
        self.addSeparator()
        self.addActions([actions.previous, actions.next, actions.go_to, actions.bring_back])
        self.addSeparator()


class ViewMenu(QMenu):
    def __init__(self, settings: SettingsStore, panel: QAction, window: QWidget) -> None:
        super().__init__("&View", window)
        self._settings = settings
        larger = self.addAction("Larger text", lambda: self.zoom(1))
        larger.setShortcuts([QKeySequence(_KEY.ZoomIn), QKeySequence("Ctrl+=")])
        self.addAction("Smaller text", _KEY.ZoomOut, lambda: self.zoom(-1))
        self.addAction("Usual size", "Ctrl+0", lambda: self.zoom(0))
        self.addSeparator()
        self.addAction(panel)

    def zoom(self, by: int) -> None:
        """by: 1 larger, -1 smaller, 0 the usual size."""
        low, high = limits("font_size_px")
        size = self._settings.current.font_size_px + 2 * by if by else Settings().font_size_px
        self._settings.change(font_size_px=int(min(high, max(low, size))))
