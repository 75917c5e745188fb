"""The list of models: a row for each that is here, can be had, or is on its way."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.models.download_job import DownloadJob, DownloadState
from app.models.download_queue import DownloadQueue
from app.models.library_scan import LibraryScan
from app.models.model_entry import ModelEntry, model_entries
from app.models.remedies import NO_MODEL
from app.models.row_state import LoadConditions, ModelUse
from app.models.ui.model_actions import ModelActions
from app.models.ui.model_row import ModelRow
from app.settings.schema import Settings
from app.settings.store import SettingsStore
from app.widgets.panel import text_label
from app.worker.device_monitor import DeviceMonitor
from app.worker.model_session import ModelSession
from engine.checkpoints.catalogue import models_folder
from engine.checkpoints.files import free_bytes
from engine.hardware.selection import device_named
from engine.protocol.events import Device

_MUCH_BYTES = 2**30
"""From here on it is said that what the model in use holds counts as free."""


class ModelList(QWidget):
    """Scans when it is shown, and follows the downloads, the settings, the model and the devices."""

    arrived = Signal(ModelEntry)
    """A model has."""
    stopped = Signal(ModelEntry)
    """A model has not arrived, and the list was not in view."""
    listed = Signal()
    """The rows are others now, perhaps."""
    row_probed = Signal(ModelRow)

    def __init__(
        self,
        store: SettingsStore,
        model: ModelSession,
        devices: DeviceMonitor,
        downloads: DownloadQueue,
        acts: ModelActions,
        next_control: QWidget,
    ) -> None:
        """next_control: gets the keys of a row that goes."""
        super().__init__()
        self._store = store
        self._model = model
        self._devices = devices
        self._downloads = downloads
        self._acts = acts
        self._next_control = next_control
        self._folders: tuple[str, ...] = store.current.model_folders
        self._arriving: dict[Path, DownloadJob] = {}
        self.rows: dict[Path, ModelRow] = {}
        self.scanner = LibraryScan(self)
        self.scanning = text_label("State", quiet=True)
        self.scanning.setText("Looking at what is here…")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.scanning)
        self.rows_layout = QVBoxLayout()
        self.rows_layout.setSpacing(0)
        outer.addLayout(self.rows_layout)
        store.changed.connect(self._on_settings)
        model.changed.connect(self._on_model_changed)
        devices.changed.connect(self._show)
        acts.removed.connect(self.scan)
        downloads.added.connect(self._on_added)
        downloads.removed.connect(self._on_removed)
        downloads.finished.connect(self._on_finished)
        downloads.closed.connect(self.scanner.close)
        self.scanner.back.connect(self._on_scanned)
        for item in downloads.items:
            self._follow(item)

    def showEvent(self, event: QShowEvent) -> None:
        self._list()
        self.scan()
        super().showEvent(event)

    def scan(self) -> None:
        """For what is here. The list stays as it was until that is known."""
        self.scanner.begin(self._folders, self._store.current.model)

    def _on_scanned(self) -> None:
        arrived, self._arriving = self._arriving, {}
        self.scanning.hide()
        self._list()
        for folder in arrived:
            if (row := self.rows.get(folder)) and row.entry.is_here:
                self.arrived.emit(row.entry)

    def _list(self) -> None:
        downloads = (*self._arriving.values(), *self._downloads.items)
        entries = model_entries(self.scanner.models, self._folders, downloads)
        found = {entry.folder: entry for entry in entries}
        for folder in self.rows.keys() - found.keys():
            row = self.rows.pop(folder)
            if row.isAncestorOf(self.window().focusWidget()):  # if a question has the keys, Qt moves nothing
                self._next_control.setFocus()
            self.rows_layout.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = {
            folder: self.rows.get(folder) or ModelRow(entry, self._acts) for folder, entry in found.items()
        }
        for at, (folder, row) in enumerate(self.rows.items()):
            row.entry = found[folder]
            if self.rows_layout.indexOf(row) != at:
                self.rows_layout.insertWidget(at, row)
        self.listed.emit()
        self._show()

    def _show(self) -> None:
        settings, model, free = self._store.current, self._model, free_bytes(models_folder())
        for row in self.rows.values():
            use = None
            if row.entry.is_meant(settings.model):
                use = ModelUse(settings.precision, model.ready, model.loading, model.fault)
            devices = self._places(use, settings.device)
            emptied = tuple(map(self._devices.emptied, devices))
            pairs = zip(devices, emptied, strict=True)
            freed = (after.free_bytes - self._devices.now(before).free_bytes for before, after in pairs)
            instead = use is None and max(freed, default=0) > _MUCH_BYTES
            budget = settings.context_tokens, settings.variants
            row.show_entry(row.entry, use, LoadConditions(emptied, *budget, instead, free))

    def _places(self, use: ModelUse | None, setting: str) -> tuple[Device, ...]:
        """What a load of the model has to choose from; all there is where the named device is gone."""
        ready, there = self._model.ready, self._devices.devices
        if ready and (use or setting != "auto"):
            return (ready.device,)
        named = None if setting == "auto" else device_named(setting, there)
        return (named,) if named else there

    def _follow(self, item: DownloadJob) -> None:
        item.state_changed.connect(partial(self._on_state, item))
        item.progressed.connect(self._on_progressed)

    def _on_added(self, item: DownloadJob) -> None:
        self._follow(item)
        self._list()

    def _on_state(self, item: DownloadJob, state: DownloadState) -> None:
        self._list()
        row = self.rows[item.folder]
        if item.fault and not self.isVisible():
            self.stopped.emit(row.entry)
        elif state is DownloadState.PROBED:
            self.row_probed.emit(row)

    def _on_progressed(self) -> None:
        for row in self.rows.values():
            if row.entry.download:
                row.refresh()

    def _on_finished(self, item: DownloadJob) -> None:
        self._arriving[item.folder] = item

    def _on_removed(self) -> None:
        self._list()
        self.scan()

    def _on_model_changed(self) -> None:
        fault = self._model.fault
        if fault and fault.kind in NO_MODEL and self.isVisible():  # a scan tells more
            self.scan()
        self._show()

    def _on_settings(self, settings: Settings) -> None:
        if settings.model_folders != self._folders:
            self._folders = settings.model_folders
            self._list()
            self.scan()
        else:
            self._show()
