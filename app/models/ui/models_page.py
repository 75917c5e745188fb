"""The Models page of the side panel: choose, download, add and remove models."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from app.models.download_queue import DownloadQueue
from app.models.ui.hub_form import HubForm
from app.models.ui.model_actions import ModelActions
from app.models.ui.model_list import ModelList
from app.settings.store import SettingsStore
from app.widgets.panel import breakable, heading, link, page_rows, text_label, title_row
from app.worker.device_monitor import DeviceMonitor
from app.worker.model_session import ModelSession
from engine.protocol.errors import Fault


class ModelsPage(QWidget):
    """The list of models, and ways to have more of them."""

    back = Signal()
    """The writer goes back to the settings."""
    closed = Signal()
    """The writer wants the panel gone."""

    def __init__(
        self,
        store: SettingsStore,
        model: ModelSession,
        devices: DeviceMonitor,
        downloads: DownloadQueue,
        width: int,
    ) -> None:
        super().__init__()
        self.setProperty("panel", True)
        self.setAccessibleName("Models")
        self.acts = acts = ModelActions(store, model, downloads, self)
        self.back_link = link("‹  Settings", self.back.emit, "Back to the settings")
        self.add = link("Add a folder…", partial(acts.ask_folder, "Add a folder", acts.add_folder))
        self.add.setToolTip("Use a model where it lies.")
        self.import_copy = link(
            "Import a copy…", partial(acts.ask_folder, "Import a copy", acts.import_folder)
        )
        self.import_copy.setToolTip("Copy a model from a folder or a USB stick.")
        self.hub = link("From Hugging Face…", self._on_hub)
        self.hub.setToolTip("Look another DiffusionGemma model up, and download it.")
        self.models = ModelList(store, model, devices, downloads, acts, self.add)
        self.form = HubForm()
        self.fault = text_label("Message")
        self.fault.hide()
        rows, self._scroll = page_rows(self, width)
        rows.addLayout(title_row(heading("Models"), self.closed.emit))
        rows.addWidget(self.back_link, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(self.models)
        rows.addSpacing(8)
        for button in (self.add, self.import_copy, self.hub):
            rows.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(self.form)
        rows.addWidget(self.fault)
        rows.addStretch(1)
        acts.tried.connect(self._on_tried)
        self.form.asked.connect(self._on_asked)
        self.models.listed.connect(self._order_keys)
        self.models.row_probed.connect(self._bring_into_view)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.back.emit()
        else:
            super().keyPressEvent(event)

    def _order_keys(self) -> None:
        """Tab goes down the page, whatever was added when."""
        controls = [control for row in self.models.rows.values() for control in row.controls]
        chain = [self.back_link, *controls, self.add, self.import_copy, self.hub, *self.form.controls]
        for before, after in pairwise(chain):
            QWidget.setTabOrder(before, after)

    def _bring_into_view(self, widget: QWidget) -> None:
        QTimer.singleShot(0, widget, lambda: self._scroll.ensureWidgetVisible(widget))

    def _on_tried(self, fault: Fault | None) -> None:
        self.fault.setVisible(fault is not None)
        if fault:
            self.fault.setText(breakable(f"{fault.message} {fault.remedy}".strip()))
            self._bring_into_view(self.fault)

    def _on_hub(self) -> None:
        self.form.setVisible(self.form.isHidden())
        if self.form.isVisible():
            self.form.repo.setFocus()
            self._bring_into_view(self.form)

    def _on_asked(self, repo: str) -> None:
        if item := self.acts.probe(repo):
            self.form.repo.clear()
            self.form.hide()
            self.hub.setFocus()
            self._bring_into_view(self.models.rows[item.folder])
