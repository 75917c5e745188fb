"""The main window: page, side panel, status bar, menus."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QSize, Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from app.documents.recovery import RecoveryStore
from app.history.store import HistoryStore
from app.models.notices import ModelNotices
from app.settings.schema import Settings, load_settings, room_settings
from app.settings.store import SettingsStore
from app.support.data_removal import DataRemoval
from app.support.run_record import LostRun
from app.widgets.latin_keys import press_latin
from app.widgets.message_bar import MessageBar
from app.widgets.screen import room_on_screen
from app.window.appearance import Appearance
from app.window.document_view import NARROWEST_PX, DocumentView
from app.window.file_actions import FileActions
from app.window.help_menu import HelpMenu
from app.window.menus import DraftMenu, EditMenu, FileMenu, ViewMenu
from app.window.side_panel import SidePanel
from app.window.status_bar import StatusBar
from app.window.top_row import TopRow
from app.worker.device_monitor import DeviceMonitor
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from engine.installation import KIND

_MESSAGE_PX = 720
_SIZE = QSize(1180, 780)


class MainWindow(QMainWindow):
    """closed: the window has gone, with nothing left to save."""

    closed = Signal()

    def __init__(self, settings: SettingsStore, worker: EngineThread, recovery: RecoveryStore) -> None:
        super().__init__()
        self.settings = settings
        self.model = ModelSession(worker, settings, self)
        self.history = HistoryStore()
        self.view = DocumentView(worker, self.model, settings, recovery, self.history)
        self.notice, self.offer, self.welcome = MessageBar(), MessageBar(), MessageBar()
        self.files = FileActions(self.view, self.notice, self.offer, self)
        self.removal = DataRemoval(settings, recovery.lock_file, self.files.when_saved, self._close_now, self)
        self.status = StatusBar(self.view, self.model, self)
        self.devices = DeviceMonitor(self.model, self)
        self.model_notices = ModelNotices(
            self.notice,
            self.welcome,
            self.model,
            self.view.drafts,
            self.view.commands,
            self.devices,
            settings,
            self,
        )
        row = self._build()
        self.side_panel = SidePanel(
            self.model, self.devices, settings, self.model_notices, self.history, self.view, row, self
        )
        self._build_actions()
        self._connect()
        Appearance(self.view.page, settings, self)
        self._shown_settings: Settings | None = None
        self._on_settings(settings.current)
        self._on_title()
        self.view.page.setFocus()

    # ---------------------------------------------------------------- what it is made of

    def _build(self) -> QHBoxLayout:
        """→ the row of the writing column and the side panel."""
        writing = QVBoxLayout()
        writing.setContentsMargins(0, 0, 0, 0)
        writing.setSpacing(0)
        writing.addWidget(self.view, 1)
        below = QHBoxLayout()
        below.setContentsMargins(24, 0, 24, 0)
        below.addStretch(1)
        below.addWidget(self._messages(), _MESSAGE_PX)
        below.addStretch(1)
        writing.addLayout(below)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addLayout(writing, 1)
        centre = QWidget()
        centre.setLayout(row)
        self.setCentralWidget(centre)
        self.setStatusBar(self.status)
        self.top = TopRow()
        self.setMenuWidget(self.top)
        self.resize(_SIZE)
        self.restoreGeometry(QByteArray.fromBase64(self.settings.current.window_geometry.encode()))
        self.resize(self.size().boundedTo(room_on_screen(self)))
        return row

    def _messages(self) -> QWidget:
        """One at a time: the offers wait while another message is shown."""
        messages = QWidget(maximumWidth=_MESSAGE_PX)
        column = QVBoxLayout(messages)
        column.setContentsMargins(0, 0, 0, 12)
        column.setSpacing(0)
        waiting = QWidget()
        offers = QVBoxLayout(waiting)
        offers.setContentsMargins(0, 0, 0, 0)
        for part, bar in ((offers, self.welcome), (offers, self.offer), (column, self.notice)):
            part.addWidget(bar)
            bar.left.connect(self.view.page.setFocus)
        column.addWidget(waiting)
        self.welcome.turned.connect(self.offer.hide)  # then it can only be that of the last file
        self.notice.turned.connect(lambda: waiting.setVisible(self.notice.isHidden()))
        return messages

    def _build_actions(self) -> None:
        self.panel_action = QAction("Settings", self, checkable=True, shortcut=QKeySequence("Ctrl+,"))
        self.panel_action.triggered.connect(self.side_panel.open_settings)
        self.draft_menu = DraftMenu(self.view.draft_actions, self)
        self.draft_menu.addAction("History…", "Ctrl+Shift+H", self.side_panel.open_history)
        self.draft_menu.addAction("What is sent…", "Ctrl+Shift+I", self.side_panel.open_prompt)
        self.draft_menu.addAction("Models…", "Ctrl+Shift+M", self.side_panel.open_models)
        self.free_action = self.draft_menu.addAction("Free the memory now", self.model.unload)
        self.free_action.setEnabled(False)
        self.view_menu = ViewMenu(self.settings, self.panel_action, self)
        file, edit = FileMenu(self.files, self._state_drafted, self), EditMenu(self.view, self)
        help_menu = HelpMenu(self.top.menus, self._diagnostics, self.removal.open, self)
        for menu in (file, edit, self.draft_menu, self.view_menu, help_menu):
            self.top.menus.addMenu(menu)
        divider = QAction(self)
        divider.setSeparator(True)
        self.view.page.addActions([divider, *self.draft_menu.of_draft])
        self.top.add_button(self.view.draft_actions.draft).setProperty("accent", True)
        self.top.add_button(self.panel_action)

    def _connect(self) -> None:
        document = self.view.document
        self.model.changed.connect(self._on_model_changed)
        self.side_panel.closed.connect(self.view.page.setFocus)
        self.side_panel.told.connect(self.notice.show_message)
        self.view.sent.failed.connect(self.notice.show_fault)
        self.view.models_asked.connect(self.side_panel.open_models)
        document.changed.connect(self._on_title)
        document.failed.connect(self.notice.show_fault)
        self.history.failed.connect(self.notice.show_fault)
        self.view.replay.failed.connect(self.notice.show_fault)
        self.view.replay.saved.connect(lambda path: self.notice.show_message(f"“{path.name}” is saved."))
        self.view.page.files_dropped.connect(self.files.open_dropped)
        self.view.page.wraps_within_words.connect(self._on_wraps_within_words)
        self.view.page.document().modificationChanged.connect(self._on_title)
        self.settings.changed.connect(self._on_settings)
        self.settings.failed.connect(self.notice.show_fault)

    # ---------------------------------------------------------------- its life

    def start(self, path: Path | None, lost: LostRun | None = None) -> None:
        """Open what the command line named, and offer what an earlier run left. lost: one that crashed."""
        if path is not None:
            self.files.open_path(path, or_new=True)
        self.history.start(self.settings.current)
        if lost is None:
            self._offer_what_is_left()
            return
        from app.support.crash_dialog import CrashDialog
        from app.support.log_file import log_end

        left, report = self.files.left_behind, partial(self._diagnostics, lost, log_end())
        dialog = CrashDialog(lost, left.left_text(), left.restore, report, self)
        dialog.finished.connect(self._offer_what_is_left)
        dialog.open()

    def _offer_what_is_left(self) -> None:
        self.files.left_behind.show()
        if KIND == "built":
            self._watch_engine()
        self.model_notices.start(may_offer=self.offer.isHidden())  # one thing at a time
        self.files.offer_last()

    def _watch_engine(self) -> None:
        from app.engine_setup.ui.notices import EngineNotices  # the first paint does not need it

        notices = EngineNotices(self.notice, self.model, self.view.drafts, self.side_panel.engine_setup, self)
        notices.engine_asked.connect(self.side_panel.open_engine)
        notices.progressed.connect(self.status.show_engine)

    def take(self, path: Path | None) -> None:
        """What a later start was given; the window comes to the front."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()
        self.files.take(path, or_new=True)

    def end(self) -> None:
        """The system ends the app: what is not saved is offered at the next start. Asked about only where no
        copy of it can be kept.
        """
        try:
            self.view.document.leave()
        except (OSError, ValueError):
            self.close()
        else:
            self._close_now()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.view.page.document().isModified():
            event.ignore()
            self.files.when_saved(self._close_now)
            return
        if not self.removal.chosen:
            self.files.remember_caret()
            geometry = bytes(self.saveGeometry().toBase64().data()).decode()
            self.settings.change(window_geometry=geometry)
        self.view.drafts.discard_all()
        self.side_panel.close()
        self.devices.close()
        self.model_notices.close()
        self.view.document.close()
        self.view.keeper.close()
        event.accept()
        self.closed.emit()

    def _close_now(self) -> None:
        self.view.page.document().setModified(False)
        self.close()

    # ---------------------------------------------------------------- settings

    def _on_settings(self, settings: Settings) -> None:
        """Apply what differs from what is shown."""
        shown, self._shown_settings = self._shown_settings, settings
        if shown is not None and (
            load_settings(shown) != load_settings(settings)
            or (room_settings(shown) != room_settings(settings) and self._needs_another_precision(settings))
        ):
            self.model.reload()
        self.view.tint.show(settings.tints_drafted)
        self.status.tell_drafted(settings.tints_drafted)
        beside = self.side_panel.panel.width() if settings.panel_open else 0
        self.view.set_narrowest(min(NARROWEST_PX, room_on_screen(self).width() - beside))
        self.side_panel.set_shown(settings.panel_open)
        self.panel_action.setChecked(settings.panel_open)

    def _needs_another_precision(self, settings: Settings) -> bool:
        """Whether Automatic comes to another one for the drafts asked for, on the card that has the model."""
        ready = self.model.ready
        if settings.precision != "auto" or ready is None or ready.device.id == "cpu":
            return False
        from app.models.remedies import automatic_precision

        best = automatic_precision(settings, self.devices.emptied(ready.device))
        return best not in (None, ready.precision)

    def _diagnostics(self, lost: LostRun | None = None, log: list[str] | None = None) -> str:
        from app.support.diagnostics import diagnostics  # the first paint does not need it

        return diagnostics(self.settings.current, self.model.ready, self.devices.devices, lost, log)

    def _state_drafted(self) -> None:
        from app.provenance.ui.statement_dialog import StatementDialog  # the first paint does not need it
        from app.support.project import project

        def show(words: int, _selected: int, owners: Counter[str]) -> None:
            dialog = StatementDialog(self.view.document, words, owners, project().version, self)
            dialog.failed.connect(self.notice.show_fault)
            dialog.open()

        self.status.word_count.counted.connect(show, Qt.ConnectionType.SingleShotConnection)
        self.status.word_count.count()

    # ---------------------------------------------------------------- what is shown

    def _on_model_changed(self) -> None:
        self.free_action.setEnabled(self.model.ready is not None)

    def _on_wraps_within_words(self, characters: int) -> None:
        self.notice.show_message(
            f"This text has a line of {characters:,} characters without a space.",
            "Its lines end within words too, since typing would freeze otherwise.",
        )

    def _on_title(self) -> None:
        mark = "•" if self.view.page.document().isModified() else ""
        self.setWindowTitle(f"{self.view.document.name}{mark} – Mezzotint")
        self.top.title.setText(f"{self.view.document.name} {mark}".strip())
        self.top.title.details = str(self.view.document.path or "")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """What nothing has a use for: Esc leads back to the text from everywhere."""
        if event.key() == Qt.Key.Key_Escape:
            self.view.page.setFocus()
        elif not press_latin(self, self.top.menus, event):
            super().keyPressEvent(event)
