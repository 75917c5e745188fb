"""The window: page, settings beside it, status line, and the actions that tie them together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QGuiApplication,
    QKeySequence,
    QResizeEvent,
    QShortcut,
    QTextCursor,
)
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from app.device_watch import DeviceWatch
from app.documents.files import DocumentError
from app.documents.open_document import OpenDocument
from app.documents.recovery import RecoveryStore
from app.drafting import Drafting, State
from app.editor.bar import DraftBar, DraftButton
from app.editor.page import Page
from app.engine_thread import EngineThread
from app.idle import IdleUnload
from app.model_notices import ModelNotices
from app.notice import Notice
from app.reading_ahead import ReadingAhead
from app.settings import Settings, SettingsStore, limits, load_settings
from app.status import StatusLine
from app.theme import palette, prose_font, stylesheet, system_is_dark, theme_named
from app.widgets import quiet_label, tool_button

if TYPE_CHECKING:
    from app.models.downloads import Downloads
    from app.models.page import ModelsPage
    from app.settings_panel import SettingsPanel

# What the first paint does not need, the dialogs and the settings panel, is imported where it is used.
_TITLE_PX = (60, 260)
_MESSAGE_PX = 720
FILTER = "Text and Markdown (*.txt *.md *.markdown *.text);;All files (*)"


class MainWindow(QMainWindow):
    """closed: the window has gone, with nothing left to save."""

    closed = Signal()

    def __init__(self, settings: SettingsStore, worker: EngineThread, recovery: RecoveryStore) -> None:
        super().__init__()
        self._settings = settings
        self.page = Page(prose_font(settings.current))
        self.drafting = Drafting(self.page, worker, settings, self)
        self.reading_ahead = ReadingAhead(self.page, worker, settings, self.drafting)
        self.document = OpenDocument(self.page.document(), recovery, self)
        self.bar = DraftBar(self.page, self.drafting)
        self.button = DraftButton(self.page, self.drafting)
        self.notice, self.offer, self.welcome = Notice(), Notice(), Notice()
        self.status = StatusLine(self.page, self.drafting, self)
        self.devices = DeviceWatch(self.drafting, self)
        self.told = ModelNotices(self.notice, self.welcome, self.drafting, self.devices, settings, self)
        self.idle = IdleUnload(self.page, self.drafting, settings, self)
        self._build()
        self._build_actions()
        self._connect()
        self._shown_settings: Settings | None = None
        self._width_before = self.width()
        self._on_settings(settings.current)
        self._on_title()
        self.page.setFocus()

    # ---------------------------------------------------------------- what it is made of

    def _build(self) -> None:
        writing = QVBoxLayout()
        writing.setContentsMargins(0, 0, 0, 0)
        writing.setSpacing(0)
        writing.addWidget(self.page, 1)
        messages = QWidget(maximumWidth=_MESSAGE_PX)
        column = QVBoxLayout(messages)
        column.setContentsMargins(0, 0, 0, 12)
        column.setSpacing(0)
        waiting = QWidget()  # the offers, while the other messages are told
        offers = QVBoxLayout(waiting)
        offers.setContentsMargins(0, 0, 0, 0)
        for part, notice in ((offers, self.welcome), (offers, self.offer), (column, self.notice)):
            part.addWidget(notice)
        column.addWidget(waiting)
        self.notice.turned.connect(lambda: waiting.setVisible(self.notice.isHidden()))
        below = QHBoxLayout()
        below.setContentsMargins(24, 0, 24, 0)
        below.addStretch(1)
        below.addWidget(messages, _MESSAGE_PX)
        below.addStretch(1)
        writing.addLayout(below)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addLayout(writing, 1)
        self._row = row
        centre = QWidget()
        centre.setLayout(row)
        self.setCentralWidget(centre)
        self.setStatusBar(self.status)
        self.resize(1180, 780)
        self.page.setMinimumSize(560, 200)  # the window's follows, with the settings or without
        self.restoreGeometry(QByteArray.fromBase64(self._settings.current.window_geometry.encode()))

    def _action(self, text: str, shortcut: QKeySequence.StandardKey | str | None, act: object) -> QAction:
        action = QAction(text, self)
        if shortcut is not None:
            action.setShortcut(QKeySequence(shortcut))
        action.triggered.connect(act)
        return action

    def _build_actions(self) -> None:
        key, page = QKeySequence.StandardKey, self.page
        # A key behind a tab is only shown: what it does differs from state to state.
        self.draft_action = self._action("Draft paragraph\tCtrl+Enter", None, self.drafting.draft)
        self.draft_action.setIconText("Draft paragraph")
        self.draft_action.setToolTip("Draft paragraph (Ctrl+Enter)")
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(keys), self, self.drafting.draft)
        self.retry_action = self._action("Retry", "Ctrl+R", self.drafting.retry)
        self.stop_action = self._action("Stop", "Ctrl+.", self.drafting.stop)
        self.keep_action = self._action("Keep\tEnter", None, self.drafting.keep)
        self.discard_action = self._action("Discard\tEsc", None, self.drafting.discard)
        self.previous_action = self._action("Previous draft", "Ctrl+[", lambda: self._show_variant(-1))
        self.next_action = self._action("Next draft", "Ctrl+]", lambda: self._show_variant(1))
        self.go_action = self._action("Go to the draft", "Ctrl+J", self.go_to_draft)
        self.panel_action = self._action("Settings", "Ctrl+,", self._on_panel_asked)
        self.panel_action.setCheckable(True)
        self.free_action = self._action("Free the memory now", None, self.drafting.unload)
        self.free_action.setEnabled(False)
        self.undo_action = self._action("Undo", key.Undo, page.undo)
        self.redo_action = self._action("Redo", key.Redo, page.redo)
        larger = self._action("Larger text", None, lambda: self.zoom(1))
        larger.setShortcuts([QKeySequence(key.ZoomIn), QKeySequence("Ctrl+=")])
        menus: dict[str, list[QAction | None]] = {
            "&File": [
                self._action("New", key.New, self.new),
                self._action("Open…", key.Open, self.open),
                None,
                self._action("Save", key.Save, self.save),
                self._action("Save as…", "Ctrl+Shift+S", lambda: self.save_as()),
                None,
                self._action("Quit", "Ctrl+Q", self.close),
            ],
            "&Edit": [
                self.undo_action,
                self.redo_action,
                None,
                self._action("Cut", key.Cut, page.cut),
                self._action("Copy", key.Copy, page.copy),
                self._action("Paste", key.Paste, page.paste),
                None,
                self._action("Select all", key.SelectAll, page.selectAll),
            ],
            "&Draft": [
                self.draft_action,
                self.retry_action,
                self.stop_action,
                self.keep_action,
                self.discard_action,
                None,
                self.previous_action,
                self.next_action,
                self.go_action,
                None,
                self._action("Models…", "Ctrl+Shift+M", self.open_models),
                self.free_action,
            ],
            "&View": [
                larger,
                self._action("Smaller text", key.ZoomOut, lambda: self.zoom(-1)),
                self._action("Usual size", "Ctrl+0", lambda: self.zoom(0)),
                None,
                self.panel_action,
            ],
        }
        for name, actions in menus.items():
            menu = QMenu(name, self)
            for action in actions:
                if action is None:
                    menu.addSeparator()
                else:
                    menu.addAction(action)
            self.menuBar().addMenu(menu)
        self._corner = self._toolbar()
        self.menuBar().setCornerWidget(self._corner)
        for action in menus["&Edit"]:
            if action is not None:  # keys pressed in the settings are not meant for the page
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                page.addAction(action)
        page.document().undoAvailable.connect(self.undo_action.setEnabled)
        page.document().redoAvailable.connect(self.redo_action.setEnabled)
        self.undo_action.setEnabled(False)
        self.redo_action.setEnabled(False)
        self._on_drafting_changed()

    def _toolbar(self) -> QWidget:
        corner = QWidget(self.menuBar())
        row = QHBoxLayout(corner)
        row.setContentsMargins(0, 0, 0, 1)  # on one line with the menus
        row.setSpacing(4)
        self.title = quiet_label("Document")
        self.title.setContentsMargins(0, 0, 15, 0)
        row.addWidget(self.title)
        for action in (self.draft_action, self.panel_action):
            button = tool_button(action.iconText(), action.iconText())
            button.setDefaultAction(action)
            button.setProperty("accent", action is self.draft_action)
            row.addWidget(button)
        return corner

    def _connect(self) -> None:
        self.page.keep_asked.connect(self.drafting.keep)
        self.page.discard_asked.connect(self.drafting.discard)
        self.told.models_asked.connect(self.open_models)
        self.told.device_asked.connect(self._on_device_asked)
        self.drafting.changed.connect(self._on_drafting_changed)
        self.drafting.model_changed.connect(self._on_model_changed)
        self.devices.changed.connect(self._on_devices_changed)
        self.document.changed.connect(self._on_title)
        self.document.failed.connect(self.notice.tell)
        self.page.document().modificationChanged.connect(self._on_title)
        self._settings.changed.connect(self._on_settings)
        self._settings.failed.connect(self.notice.tell)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_scheme)

    # ---------------------------------------------------------------- documents

    def start(self, path: Path | None) -> None:
        """Open what the command line named, and offer what an earlier run left."""
        if path is not None:
            self.open_path(path)
        self._offer_restore()
        if self.offer.isHidden():  # one thing at a time
            self.told.start()

    def _offer_restore(self) -> None:
        left = self.document.left_behind()
        if left is None:
            self.offer.hide()
            return
        name = f"“{Path(left.path).name}”" if left.path else "A text without a name"
        when = f"It was last written on {left.written_at.astimezone():%d %B %Y at %H:%M}."
        ways = ("Restore it", self._restore), ("Throw it away…", self._ask_throw_away)
        self.offer.tell(f"{name} was not saved.", when, *ways)

    def _restore(self) -> None:
        self._when_saved(self._restore_now)

    def _ask_throw_away(self) -> None:
        from PySide6.QtWidgets import QMessageBox

        box = QMessageBox(self)
        box.setText("Throw this text away?")
        box.setInformativeText("It cannot be brought back.")
        throw = box.addButton("Throw it away", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton("Keep it", QMessageBox.ButtonRole.RejectRole))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        throw.clicked.connect(self._throw_away)
        box.open()

    def _throw_away(self) -> None:
        self.document.throw_away()
        self._offer_restore()

    def _restore_now(self) -> None:
        self.drafting.discard()
        self.document.restore()
        self._offer_restore()
        self.page.setFocus()

    def new(self) -> None:
        self._when_saved(self._new_now)

    def _new_now(self) -> None:
        self.drafting.discard()
        self.document.new()

    def open(self) -> None:
        self._when_saved(self._ask_open)

    def _ask_open(self) -> None:
        from PySide6.QtWidgets import QFileDialog

        dialog = QFileDialog(self, "Open", self.document.folder(), FILTER)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._on_open_selected)
        dialog.open()

    def _on_open_selected(self, path: str) -> None:
        self.open_path(Path(path))

    def open_path(self, path: Path) -> None:
        """A file that cannot be opened leaves the open text, and a draft in it, as they are."""
        try:
            opened = self.document.read(path)
        except DocumentError as error:
            self.notice.tell(error.message, error.remedy)
            return
        self.notice.hide()
        self.drafting.discard()
        self.document.show(opened)
        self.status.count_words()
        self.page.moveCursor(QTextCursor.MoveOperation.Start)

    def save(self) -> None:
        """Save; without a file, ask for one first."""
        if self.document.path is None:
            self.save_as()
        else:
            self._save_to(self.document.path)

    def save_as(self, then: Callable[[], object] | None = None) -> None:
        """then: what to do once the text is saved."""
        from PySide6.QtWidgets import QFileDialog

        dialog = QFileDialog(self, "Save as", str(self.document.path or self.document.folder()), FILTER)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("md")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def on_selected(path: str) -> None:
            if self._save_to(Path(path), anew=True) and then is not None:
                then()

        dialog.fileSelected.connect(on_selected)
        dialog.open()

    def _save_to(self, path: Path, anew: bool = False) -> bool:
        """Whether the text stands in the file now. anew: the writer chose this file just now."""
        self.notice.hide()
        try:
            self.document.save(path, overwrite=anew)
        except DocumentError as error:
            self.notice.tell(error.message, error.remedy, ("Save as…", self.save_as))
            return False
        return True

    def _when_saved(self, act: Callable[[], object]) -> None:
        """Ask about unsaved text first; act once nothing is left to lose or the writer gave it up."""
        if not self.page.document().isModified():
            act()
            return
        from PySide6.QtWidgets import QMessageBox

        buttons = QMessageBox.StandardButton
        box = QMessageBox(self)
        box.setText(f"Save the changes to “{self.document.name}”?")
        box.setInformativeText("What you do not save is lost.")
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        box.setDefaultButton(buttons.Save)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def on_finished(answer: int) -> None:
            path = self.document.path
            if answer == buttons.Discard or (answer == buttons.Save and path and self._save_to(path)):
                act()
            elif answer == buttons.Save and path is None:
                self.save_as(act)

        box.finished.connect(on_finished)
        box.open()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.page.document().isModified():
            event.ignore()
            self._when_saved(self._close_now)
            return
        geometry = bytes(self.saveGeometry().toBase64().data()).decode()
        self._settings.change(window_geometry=geometry)
        self.drafting.discard()
        if "downloads" in vars(self):
            self.downloads.close()
        self.devices.close()
        self.told.close()
        self.document.close()
        event.accept()
        self.closed.emit()

    def _close_now(self) -> None:
        self.page.document().setModified(False)
        self.close()

    # ---------------------------------------------------------------- view

    def zoom(self, by: int) -> None:
        """by: 1 larger, -1 smaller, 0 the usual size."""
        low, high = limits("font_size_px")
        size = self._settings.current.font_size_px + 2 * by if by else Settings().font_size_px
        self._settings.change(font_size_px=int(min(high, max(low, size))))

    def go_to_draft(self) -> None:
        """Put the caret where the draft stands."""
        if self.drafting.state is not State.IDLE and self.page.draft.anchor is not None:
            self.page.setTextCursor(QTextCursor(self.page.draft.anchor))
            self.page.show_gap()
            self.page.setFocus()

    def _show_variant(self, by: int) -> None:
        self.drafting.show_variant(self.drafting.shown_variant + by)

    @cached_property
    def panel(self) -> SettingsPanel:
        """Built when it is first opened."""
        from app.settings_panel import SettingsPanel

        panel = SettingsPanel(self._settings)
        panel.closed.connect(self._on_panel_closed)
        panel.models_asked.connect(self.open_models)
        self._row.addWidget(panel)
        self._show_model_in(panel)
        self.devices.while_visible(panel)
        return panel

    @cached_property
    def downloads(self) -> Downloads:
        """Made when the models are first shown."""
        from app.models.downloads import Downloads

        return Downloads(self)

    @cached_property
    def models(self) -> ModelsPage:
        from app.models.page import ModelsPage

        page = ModelsPage(self._settings, self.drafting, self.devices, self.downloads, self.panel.width())
        page.back.connect(self.panel.show_settings)
        page.closed.connect(self._on_panel_closed)
        page.arrived.connect(self.told.tell_arrived)
        page.stopped.connect(self.told.tell_stopped)
        return page

    def open_models(self) -> None:
        self.told.hide_offer()
        self._settings.change(panel_open=True)
        self.panel.show_page(self.models)
        self.models.back_link.setFocus()

    def _on_device_asked(self) -> None:
        self._settings.change(panel_open=True)
        self.panel.show_settings()
        self.panel.focus_device()

    def _panel_is_built(self) -> bool:
        return "panel" in vars(self)

    def _show_model_in(self, panel: SettingsPanel) -> None:
        if self.drafting.ready is not None:
            panel.show_model(self.drafting.ready)
        self._show_devices_in(panel)

    def _show_devices_in(self, panel: SettingsPanel) -> None:
        ready = self.drafting.ready
        panel.show_devices(self.devices.devices, self.devices.now(ready.device) if ready else None)

    def _on_panel_asked(self, checked: bool) -> None:
        self._settings.change(panel_open=checked)
        if checked:
            self.panel.focus_first()

    def _on_panel_closed(self) -> None:
        self._settings.change(panel_open=False)
        self.page.setFocus()

    def _on_settings(self, settings: Settings) -> None:
        """Apply what differs from what is shown."""
        shown, self._shown_settings = self._shown_settings, settings
        if shown is None or shown.theme != settings.theme:
            self._on_scheme()
        if shown is None or (shown.font_family, shown.font_size_px) != (
            settings.font_family,
            settings.font_size_px,
        ):
            self.page.set_prose_font(prose_font(settings))
        if shown is not None and (
            load_settings(shown) != load_settings(settings)
            or (shown.context_tokens != settings.context_tokens and self._needs_another_precision(settings))
        ):
            self.drafting.reload()
        if settings.panel_open or self._panel_is_built():
            self._show_panel(settings.panel_open)
        self.panel_action.setChecked(settings.panel_open)

    def _show_panel(self, shown: bool) -> None:
        """What the window had to grow for the panel, it gives back."""
        if shown is not self.panel.isHidden():
            return
        if shown:
            self._width_before = self.width()
            self.panel.show()
            return
        grown = self._width_before < self.width() == self.minimumSizeHint().width()
        self.panel.hide()
        if grown:
            self._row.activate()  # the least width is another one now
            if layout := self.layout():
                layout.activate()
            self.resize(self._width_before, self.height())

    def _needs_another_precision(self, settings: Settings) -> bool:
        """Whether Automatic comes to another one for this context, on the card that the model is on."""
        ready = self.drafting.ready
        if settings.precision != "auto" or ready is None or ready.device.id == "cpu":
            return False
        from app.ways_out import automatic_precision

        best = automatic_precision(settings, self.devices.emptied(ready.device))
        return best not in (None, ready.precision)

    def _on_scheme(self) -> None:
        theme = theme_named(self._settings.current.theme, system_is_dark())
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setPalette(palette(theme))
        app.setStyleSheet(stylesheet(theme))
        self.page.set_theme(theme)

    # ---------------------------------------------------------------- what is told

    def _on_drafting_changed(self) -> None:
        drafting, state = self.drafting, self.drafting.state
        settled = state is State.SETTLED
        self.draft_action.setEnabled(state is State.IDLE)
        self.stop_action.setEnabled(state in (State.PREPARING, State.DENOISING))
        for action in (self.retry_action, self.keep_action):
            action.setEnabled(settled)
        for action in (self.discard_action, self.go_action):
            action.setEnabled(state is not State.IDLE)
        self.previous_action.setEnabled(settled and drafting.shown_variant > 0)
        self.next_action.setEnabled(settled and drafting.shown_variant + 1 < len(drafting.variants))

    def _on_model_changed(self) -> None:
        self.free_action.setEnabled(self.drafting.ready is not None)
        if self._panel_is_built():
            self._show_model_in(self.panel)

    def _on_devices_changed(self) -> None:
        if self._panel_is_built():
            self._show_devices_in(self.panel)

    def _on_title(self) -> None:
        mark = "•" if self.page.document().isModified() else ""
        self.title.setToolTip(str(self.document.path or ""))
        self.setWindowTitle(f"{self.document.name}{mark} – Mezzotint")
        self._fit_title()

    def _fit_title(self) -> None:
        """As much of the name as the menus leave room for."""
        mark = "•" if self.page.document().isModified() else ""
        name, bar = f"{self.document.name} {mark}".strip(), self.menuBar()
        self.title.clear()
        taken = bar.sizeHint().width() + 24
        room = max(_TITLE_PX[0], min(_TITLE_PX[1], self.width() - taken))
        self.title.setText(self.title.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, room))
        bar.setCornerWidget(self._corner)  # it gives the corner a new width only when asked to

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_title()
