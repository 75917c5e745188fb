"""The main window: page, side panel, status bar, menus."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QGuiApplication,
    QKeySequence,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from app.documents.document import Document
from app.documents.recovery import RecoveryStore
from app.drafting.draft_bar import DraftBar
from app.drafting.draft_button import DraftButton
from app.drafting.draft_session import DraftSession
from app.drafting.idle_unload import IdleUnload
from app.drafting.prefetch import Prefetch
from app.editor.page import Page
from app.models.notices import ModelNotices
from app.settings.schema import Settings, load_settings
from app.settings.store import SettingsStore
from app.widgets.labels import quiet_label, tool_button
from app.widgets.message_bar import MessageBar
from app.widgets.theme import palette, prose_font, stylesheet, system_is_dark, theme_named
from app.window.file_actions import FileActions
from app.window.menus import DraftMenu, EditMenu, FileMenu, ViewMenu
from app.window.status_bar import StatusBar, name_in_list
from app.worker.device_monitor import DeviceMonitor
from app.worker.engine_thread import EngineThread

if TYPE_CHECKING:
    from app.models.download_queue import DownloadQueue
    from app.models.ui.models_page import ModelsPage
    from app.settings.panel import SettingsPanel

# What the first paint does not need, the settings panel and the models, is imported where it is used.
_TITLE_PX = (60, 260)
_MESSAGE_PX = 720


class MainWindow(QMainWindow):
    """closed: the window has gone, with nothing left to save."""

    closed = Signal()

    def __init__(self, settings: SettingsStore, worker: EngineThread, recovery: RecoveryStore) -> None:
        super().__init__()
        self._settings = settings
        self.page = Page(prose_font(settings.current))
        self.drafting = DraftSession(self.page, worker, settings, self)
        self.reading_ahead = Prefetch(self.page, worker, settings, self.drafting)
        self.document = Document(self.page.document(), recovery, self)
        self.notice, self.offer, self.welcome = MessageBar(), MessageBar(), MessageBar()
        self.files = FileActions(self.page, self.document, self.drafting, self.notice, self.offer, self)
        self.bar = DraftBar(self.page, self.drafting)
        self.button = DraftButton(self.page, self.drafting)
        self.status = StatusBar(self.page, self.drafting, self)
        self.devices = DeviceMonitor(self.drafting, self)
        self.model_notices = ModelNotices(
            self.notice, self.welcome, self.drafting, self.devices, settings, self
        )
        self.idle = IdleUnload(self.page, self.drafting, settings, self)
        self._build()
        self._build_actions()
        self._connect()
        self._shown_settings: Settings | None = None
        self._title = ""
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
            notice.left.connect(self.page.setFocus)
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

    def _build_actions(self) -> None:
        self.panel_action = QAction("Settings", self, checkable=True, shortcut=QKeySequence("Ctrl+,"))
        self.panel_action.triggered.connect(self._on_panel_asked)
        self.draft_menu = DraftMenu(self.page, self.drafting, self)
        self.draft_menu.addSeparator()
        self.draft_menu.addAction("Models…", "Ctrl+Shift+M", self.open_models)
        self.free_action = self.draft_menu.addAction("Free the memory now", self.drafting.unload)
        self.free_action.setEnabled(False)
        self.view_menu = ViewMenu(self._settings, self.panel_action, self)
        file, edit = FileMenu(self.files, self), EditMenu(self.page, self)
        for menu in (file, edit, self.draft_menu, self.view_menu):
            self.menuBar().addMenu(menu)
        self._corner = self._toolbar()
        self.menuBar().setCornerWidget(self._corner)

    def _toolbar(self) -> QWidget:
        corner = QWidget(self.menuBar())
        row = QHBoxLayout(corner)
        row.setContentsMargins(0, 0, 0, 1)  # on one line with the menus
        row.setSpacing(4)
        self.title = quiet_label("Document")
        self.title.setContentsMargins(0, 0, 15, 0)
        row.addWidget(self.title)
        for action in (self.draft_menu.draft, self.panel_action):
            button = tool_button(action.iconText(), action.iconText())
            button.setDefaultAction(action)
            button.setProperty("accent", action is self.draft_menu.draft)
            row.addWidget(button)
        return corner

    def _connect(self) -> None:
        self.page.keep_asked.connect(self.drafting.keep)
        self.page.discard_asked.connect(self.drafting.discard)
        self.model_notices.models_asked.connect(self.open_models)
        self.model_notices.device_asked.connect(self._on_device_asked)
        self.drafting.model_changed.connect(self._on_model_changed)
        self.devices.changed.connect(self._on_devices_changed)
        self.document.changed.connect(self._on_title)
        self.document.changed.connect(self.status.count_words)
        self.document.failed.connect(self.notice.show_fault)
        self.page.document().modificationChanged.connect(self._on_title)
        self._settings.changed.connect(self._on_settings)
        self._settings.failed.connect(self.notice.show_fault)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_scheme)

    # ---------------------------------------------------------------- its life

    def start(self, path: Path | None) -> None:
        """Open what the command line named, and offer what an earlier run left."""
        if path is not None:
            self.files.open_path(path)
        self.files.offer_restore()
        self.model_notices.start(may_offer=self.offer.isHidden())  # one thing at a time

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.page.document().isModified():
            event.ignore()
            self.files.when_saved(self._close_now)
            return
        geometry = bytes(self.saveGeometry().toBase64().data()).decode()
        self._settings.change(window_geometry=geometry)
        self.drafting.discard()
        if "downloads" in vars(self):
            self.downloads.close()
        self.devices.close()
        self.model_notices.close()
        self.document.close()
        event.accept()
        self.closed.emit()

    def _close_now(self) -> None:
        self.page.document().setModified(False)
        self.close()

    # ---------------------------------------------------------------- settings and models

    @cached_property
    def panel(self) -> SettingsPanel:
        """Built when it is first opened."""
        from app.settings.panel import SettingsPanel

        panel = SettingsPanel(self._settings)
        panel.closed.connect(self._on_panel_closed)
        panel.models_asked.connect(self.open_models)
        self._row.addWidget(panel)
        self._show_model_in(panel)
        self.devices.while_visible(panel)
        return panel

    @cached_property
    def downloads(self) -> DownloadQueue:
        """Made when the models are first shown."""
        from app.models.download_queue import DownloadQueue

        return DownloadQueue(self)

    @cached_property
    def models(self) -> ModelsPage:
        from app.models.ui.models_page import ModelsPage

        page = ModelsPage(self._settings, self.drafting, self.devices, self.downloads, self.panel.width())
        page.back.connect(self.panel.show_settings)
        page.closed.connect(self._on_panel_closed)
        page.arrived.connect(self.model_notices.show_arrived)
        page.stopped.connect(self.model_notices.show_stopped)
        return page

    def open_models(self) -> None:
        self.model_notices.hide_offer()
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
        if (ready := self.drafting.ready) is not None:
            panel.show_model(msgspec.structs.replace(ready, label=name_in_list(ready)))
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
        elif (shown.font_family, shown.font_size_px) != (settings.font_family, settings.font_size_px):
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
        from app.models.remedies import automatic_precision

        best = automatic_precision(settings, self.devices.emptied(ready.device))
        return best not in (None, ready.precision)

    def _on_scheme(self) -> None:
        theme = theme_named(self._settings.current.theme, system_is_dark())
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setPalette(palette(theme))
        app.setStyleSheet(stylesheet(theme))
        self.page.set_theme(theme)
        self.page.set_prose_font(prose_font(self._settings.current))  # a stylesheet sets the old one again

    # ---------------------------------------------------------------- what is told

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
        self._title = f"{self.document.name} {mark}".strip()
        self._fit_title()

    def _fit_title(self) -> None:
        """As much of the name as the menus leave room for."""
        bar = self.menuBar()
        self.title.clear()
        taken = bar.sizeHint().width() + 24
        room = max(_TITLE_PX[0], min(_TITLE_PX[1], self.width() - taken))
        self.title.setText(
            self.title.fontMetrics().elidedText(self._title, Qt.TextElideMode.ElideMiddle, room)
        )
        bar.setCornerWidget(self._corner)  # it gives the corner a new width only when asked to

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_title()
