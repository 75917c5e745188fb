"""The side panel: settings and models beside the page, built when they are first opened."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QHBoxLayout, QMainWindow

from app.history.store import HistoryStore
from app.models.notices import ModelNotices
from app.settings.store import SettingsStore
from app.widgets.screen import keep_on_screen
from app.window.document_view import DocumentView
from app.window.status_bar import name_in_list
from app.worker.device_monitor import DeviceMonitor
from app.worker.model_session import ModelSession

if TYPE_CHECKING:
    from app.engine_setup.session import SetUpSession
    from app.engine_setup.ui.engine_page import EnginePage
    from app.history.ui.drawer import HistoryDrawer
    from app.models.download_queue import DownloadQueue
    from app.models.ui.models_page import ModelsPage
    from app.provenance.ui.prompt_page import PromptPage
    from app.settings.panel import SettingsPanel

# What the first paint does not need is imported where it is used.


class SidePanel(QObject):
    """row: the window's, which the panel comes into."""

    closed = Signal()
    told = Signal(str, str)
    """A message, and its remedy."""

    def __init__(
        self,
        model: ModelSession,
        devices: DeviceMonitor,
        settings: SettingsStore,
        notices: ModelNotices,
        history: HistoryStore,
        view: DocumentView,
        row: QHBoxLayout,
        window: QMainWindow,
    ) -> None:
        super().__init__(window)
        self._model = model
        self._devices = devices
        self._settings = settings
        self._notices = notices
        self._history = history
        self._view = view
        self._row = row
        self._window = window
        self._size_before = window.size()
        notices.models_asked.connect(self.open_models)
        notices.device_asked.connect(self._on_device_asked)

    @cached_property
    def panel(self) -> SettingsPanel:
        from app.settings.panel import SettingsPanel

        panel = SettingsPanel(self._settings)
        panel.closed.connect(self._on_closed)
        panel.models_asked.connect(self.open_models)
        panel.engine_asked.connect(self.open_engine)
        panel.history_asked.connect(self.open_history)
        self._row.addWidget(panel)
        self._model.changed.connect(partial(self._show_model_in, panel))
        self._devices.changed.connect(partial(self._show_devices_in, panel))
        self._show_model_in(panel)
        self._devices.while_visible(panel)
        return panel

    @cached_property
    def downloads(self) -> DownloadQueue:
        from app.models.download_queue import DownloadQueue

        return DownloadQueue(self._window)

    @cached_property
    def models_page(self) -> ModelsPage:
        from app.models.ui.models_page import ModelsPage

        page = ModelsPage(self._settings, self._model, self._devices, self.downloads, self.panel.width())
        page.back.connect(self.panel.show_settings)
        page.closed.connect(self._on_closed)
        page.models.arrived.connect(self._notices.show_arrived)
        page.models.stopped.connect(self._notices.show_stopped)
        return page

    @cached_property
    def engine_setup(self) -> SetUpSession:
        """In the built app alone."""
        from app.engine_setup.home import EngineHome
        from app.engine_setup.session import SetUpSession

        return SetUpSession(EngineHome.of_the_user(), self)

    @cached_property
    def engine_page(self) -> EnginePage:
        from app.engine_setup.ui.engine_page import EnginePage

        page = EnginePage(self.engine_setup, self._settings, self.panel.width())
        page.back.connect(self.panel.show_settings)
        page.closed.connect(self._on_closed)
        return page

    @cached_property
    def history_drawer(self) -> HistoryDrawer:
        from app.history.actions import HistoryActions
        from app.history.ui.drawer import HistoryDrawer
        from app.history.ui.replay_view import ReplayView

        view = self._view
        actions = HistoryActions(
            self._history, view.page, view.drafts, view.commands, self._model, self._window
        )
        actions.told.connect(self.told)
        replay = ReplayView(view.page, self._settings, view.document.folder)
        replay.saved.connect(view.replay.saved)
        replay.failed.connect(view.replay.failed)
        actions.putting_in.connect(view.drafted_words.put_in)
        actions.copying.connect(view.drafted_words.copy)
        page = HistoryDrawer(self._history, self._settings, actions, replay, self.panel.width())
        page.back.connect(self.panel.show_settings)
        page.closed.connect(self._on_closed)
        return page

    @cached_property
    def prompt_page(self) -> PromptPage:
        from app.provenance.ui.prompt_page import PromptPage

        page = PromptPage(self._view.sent, self._model)
        page.back.connect(self.panel.show_settings)
        page.closed.connect(self._on_closed)
        return page

    def open_history(self) -> None:
        self._settings.change(panel_open=True)
        self.panel.show_page(self.history_drawer)
        self.history_drawer.open()

    def open_prompt(self) -> None:
        self._settings.change(panel_open=True)
        self.panel.show_page(self.prompt_page)
        self.prompt_page.back_link.setFocus()

    def open_engine(self) -> None:
        self._settings.change(panel_open=True)
        self.panel.show_page(self.engine_page)
        self.engine_page.back_link.setFocus()

    def open_models(self) -> None:
        self._notices.hide_offer()
        self._settings.change(panel_open=True)
        self.panel.show_page(self.models_page)
        self.models_page.back_link.setFocus()

    def open_settings(self, opened: bool) -> None:
        """Or close them."""
        self._settings.change(panel_open=opened)
        if opened:
            self.panel.show_settings()
            self.panel.focus_first()
        else:
            self.closed.emit()

    def set_shown(self, shown: bool) -> None:
        """As the settings have it. What the window had to grow for the panel, it gives back."""
        if not (shown or "panel" in vars(self)) or shown is not self.panel.isHidden():
            return
        if shown:
            self._size_before = self._window.size()
            self.panel.show()
            self._lay_out()
            keep_on_screen(self._window)
            return
        grown, least = self._window.size(), self._window.minimumSizeHint()
        self.panel.hide()
        self._lay_out()
        width, height = self._size_before.toTuple()
        self._window.resize(
            width if width < grown.width() == least.width() else grown.width(),
            height if height < grown.height() == least.height() else grown.height(),
        )

    def _lay_out(self) -> None:
        """At once: the least width is another one now."""
        self._row.activate()
        if layout := self._window.layout():
            layout.activate()

    def close(self) -> None:
        if "downloads" in vars(self):
            self.downloads.close()
        if "engine_setup" in vars(self):
            self.engine_setup.close()

    def _on_closed(self) -> None:
        self._settings.change(panel_open=False)
        self.closed.emit()

    def _on_device_asked(self) -> None:
        self._settings.change(panel_open=True)
        self.panel.show_settings()
        self.panel.device.setFocus()

    def _show_model_in(self, panel: SettingsPanel) -> None:
        if (ready := self._model.ready) is not None:
            panel.show_model(msgspec.structs.replace(ready, label=name_in_list(ready)))
        self._show_devices_in(panel)

    def _show_devices_in(self, panel: SettingsPanel) -> None:
        ready = self._model.ready
        panel.show_devices(self._devices.devices, self._devices.now(ready.device) if ready else None)
