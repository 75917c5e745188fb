"""The Models page of the side panel: choose, download, add and remove models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QMessageBox, QVBoxLayout, QWidget

from app.models import library
from app.models.download_job import DownloadJob, DownloadState
from app.models.download_queue import DownloadQueue
from app.models.library_scan import LibraryScan
from app.models.model_entry import ModelEntry, catalogue_name, model_entries
from app.models.progress_text import unbroken
from app.models.transfer import installation
from app.models.transfer.file_names import check_text
from app.models.ui.hub_form import HubForm
from app.models.ui.licence_dialog import show_licence
from app.models.ui.model_row import FAULTS_OF_FILES, ModelRow, ModelUse
from app.settings.schema import Settings
from app.settings.store import SettingsStore
from app.widgets.panel import breakable, heading, link, page_rows, text_label, title_row
from app.worker.device_monitor import DeviceMonitor
from app.worker.model_session import ModelSession
from engine.checkpoints.units import disk_text
from engine.hardware.selection import device_named
from engine.protocol.errors import Fault, FaultError
from engine.protocol.events import Device

_MUCH_BYTES = 2**30
"""From here on it is said that what the model in use holds counts as free."""
_DEAR_BYTES = 10**9
"""So much of a download is not deleted unasked."""


class ModelsPage(QWidget):
    """back, closed: the writer goes back to the settings, or wants the panel gone. arrived: a model has;
    stopped: one has not, and the page was not in view.
    """

    back = Signal()
    closed = Signal()
    arrived = Signal(ModelEntry)
    stopped = Signal(ModelEntry)

    def __init__(
        self,
        store: SettingsStore,
        model: ModelSession,
        devices: DeviceMonitor,
        downloads: DownloadQueue,
        width: int,
    ) -> None:
        super().__init__()
        self._store = store
        self._model = model
        self._devices = devices
        self._downloads = downloads
        self._folders: tuple[str, ...] = store.current.model_folders
        self._scan = LibraryScan(self)
        self._arriving: dict[Path, DownloadJob] = {}
        self.rows: dict[Path, ModelRow] = {}
        self.setProperty("panel", True)
        self.setAccessibleName("Models")
        self._build(width)
        store.changed.connect(self._on_settings)
        model.changed.connect(self._on_model_changed)
        devices.changed.connect(self._show)
        downloads.added.connect(self._on_added)
        downloads.removed.connect(self._on_removed)
        downloads.finished.connect(self._on_finished)
        downloads.closed.connect(self._scan.close)
        self._scan.back.connect(self._on_back)
        for item in downloads.items:
            self._follow(item)

    # ------------------------------------------------------------------ what it is made of

    def _build(self, width: int) -> None:
        rows, self._scroll = page_rows(self, width)
        self.back_link = link("‹  Settings", self.back.emit, "Back to the settings")
        rows.addLayout(title_row(heading("Models"), self.closed.emit))
        rows.addWidget(self.back_link, 0, Qt.AlignmentFlag.AlignLeft)
        self._list_rows = QVBoxLayout()
        self._list_rows.setSpacing(0)
        self.scanning = text_label("State", quiet=True)
        self.scanning.setText("Looking at what is here…")
        rows.addWidget(self.scanning)
        rows.addLayout(self._list_rows)
        rows.addSpacing(8)
        self.add = link("Add a folder…", self._on_add)
        self.add.setToolTip("Use a model where it lies.")
        self.import_copy = link("Import a copy…", self._on_import)
        self.import_copy.setToolTip("Copy a model from a folder or a USB stick.")
        self.hub = link("From Hugging Face…", self._on_hub)
        self.hub.setToolTip("Look another DiffusionGemma model up, and download it.")
        for button in (self.add, self.import_copy, self.hub):
            rows.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        self.form = HubForm()
        self.form.asked.connect(self._on_asked)
        rows.addWidget(self.form)
        self.fault = text_label("Message")
        self.fault.hide()
        rows.addWidget(self.fault)
        rows.addStretch(1)

    # ------------------------------------------------------------------ what it shows

    def showEvent(self, event: QShowEvent) -> None:
        self._list()
        self.scan()
        super().showEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.back.emit()
        else:
            super().keyPressEvent(event)

    def scan(self) -> None:
        """At what is here. The list stays as it was until that is known."""
        self._scan.begin(self._folders, self._store.current.model)

    def _on_back(self) -> None:
        arrived, self._arriving = self._arriving, {}
        self.scanning.hide()
        self._list()
        for folder in arrived:
            if (row := self.rows.get(folder)) and row.entry.is_here:
                self.arrived.emit(row.entry)

    def _list(self) -> None:
        downloads = (*self._arriving.values(), *self._downloads.items)
        found = {entry.folder: entry for entry in model_entries(self._scan.models, self._folders, downloads)}
        for folder in self.rows.keys() - found.keys():
            row = self.rows.pop(folder)
            if row.isAncestorOf(self.window().focusWidget()):  # if a question has the keys, Qt moves nothing
                self.add.setFocus()
            self._list_rows.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = {folder: self.rows.get(folder) or self._new_row(entry) for folder, entry in found.items()}
        for at, (folder, row) in enumerate(self.rows.items()):
            row.entry = found[folder]
            if self._list_rows.indexOf(row) != at:
                self._list_rows.insertWidget(at, row)
        self._order_keys()
        self._show()

    def _order_keys(self) -> None:
        """Tab goes down the page, whatever was added when."""
        controls = [control for folder in self.rows for control in self.rows[folder].controls]
        chain = [self.back_link, *controls, self.add, self.import_copy, self.hub, *self.form.controls]
        for before, after in pairwise(chain):
            QWidget.setTabOrder(before, after)

    def _bring_into_view(self, widget: QWidget) -> None:
        QTimer.singleShot(0, widget, lambda: self._scroll.ensureWidgetVisible(widget))

    def _show(self) -> None:
        settings = self._store.current
        for row in self.rows.values():
            use = self._use(row.entry, settings)
            devices = self._places(use, settings.device)
            emptied = tuple(map(self._devices.emptied, devices))
            pairs = zip(devices, emptied, strict=True)
            freed = (after.free_bytes - self._devices.now(before).free_bytes for before, after in pairs)
            instead = use is None and max(freed, default=0) > _MUCH_BYTES
            row.show_entry(row.entry, use, emptied, settings.context_tokens, instead=instead)

    def _places(self, use: ModelUse | None, setting: str) -> tuple[Device, ...]:
        """What a load of the model has to choose from; all there is where the named device is gone."""
        ready, there = self._model.ready, self._devices.devices
        if ready and (use or setting != "auto"):
            return (ready.device,)
        if setting == "auto":
            return there
        named = device_named(setting, there)
        return (named,) if named else there

    def _use(self, entry: ModelEntry, settings: Settings) -> ModelUse | None:
        if not entry.is_meant(settings.model):
            return None
        model = self._model
        return ModelUse(settings.precision, model.ready, model.loading, model.fault)

    def _new_row(self, entry: ModelEntry) -> ModelRow:
        row = ModelRow(entry)
        row.use_asked.connect(lambda precision: self._use_model(row.entry, precision))
        row.unload_asked.connect(self._model.unload)
        row.download_asked.connect(lambda token: self._download(row.entry, token))
        row.remove_asked.connect(lambda: self._ask_remove(row.entry))
        row.forget_asked.connect(lambda: self._forget(row.entry))
        row.licence_asked.connect(lambda: self._show_licence(row.entry))
        row.cancel_asked.connect(lambda: self._ask_cancel(row.entry))
        return row

    def _show_fault(self, fault: Fault) -> None:
        self.fault.setText(breakable(f"{fault.message} {fault.remedy}".strip()))
        self.fault.show()
        self._bring_into_view(self.fault)

    # ------------------------------------------------------------------ what becomes of a download

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
            self._bring_into_view(row)

    def _on_progressed(self) -> None:
        for row in self.rows.values():
            if row.entry.download:
                row.show_progress()

    def _on_finished(self, item: DownloadJob) -> None:
        self._arriving[item.folder] = item

    def _on_removed(self) -> None:
        self._list()
        self.scan()

    def _on_model_changed(self) -> None:
        fault = self._model.fault
        if fault and fault.kind in FAULTS_OF_FILES and self.isVisible():
            self.scan()
        self._show()

    def _on_settings(self, settings: Settings) -> None:
        if settings.model_folders != self._folders:
            self._folders = settings.model_folders
            self._list()
            self.scan()
        else:
            self._show()

    # ------------------------------------------------------------------ what the writer does

    def _use_model(self, entry: ModelEntry, precision: str) -> None:
        if (entry.model, precision) != (self._store.current.model, self._store.current.precision):
            self._store.change(model=entry.model, precision=precision)
        else:
            self._model.reload()

    def _download(self, entry: ModelEntry, token: str) -> None:
        if entry.download:
            self._try(lambda: entry.download.resume(token or None) if entry.download else None)
        else:
            self._try(lambda: self._downloads.download(entry.repo, token))

    def _on_asked(self, repo: str) -> None:
        self._try(lambda: self._probe(repo))

    def _probe(self, repo: str) -> None:
        item = self._downloads.download(repo, probe=True)
        self.form.repo.clear()
        self.form.hide()
        self.hub.setFocus()
        self._bring_into_view(self.rows[item.folder])

    def _on_hub(self) -> None:
        self.form.setVisible(self.form.isHidden())
        if self.form.isVisible():
            self.form.repo.setFocus()
            self._bring_into_view(self.form)

    def _on_add(self) -> None:
        self._ask_folder("Add a folder", self.add_folder)

    def _on_import(self) -> None:
        self._ask_folder("Import a copy", self.import_folder)

    def add_folder(self, path: str) -> None:
        """Use the model in it where it lies."""
        self._try(lambda: self._add_folder(path))

    def _add_folder(self, path: str) -> None:
        check_text(Path(path))
        try:
            found = (Path(path) / "config.json").is_file()
        except OSError as error:
            raise FaultError(
                "folder",
                f"The folder “{path}” cannot be read: {error.strerror}.",
                "Allow Mezzotint to read it, or choose another one.",
            ) from error
        if not found:
            raise FaultError(
                "input", f"“{path}” holds no model.", "Choose the folder that its config.json lies in."
            )
        self._store.change(model_folders=tuple(dict.fromkeys((*self._folders, path))))

    def import_folder(self, path: str) -> None:
        self._try(lambda: self._downloads.import_model(Path(path), catalogue_name(Path(path))))

    def _ask_folder(self, title: str, act: Callable[[str], object]) -> None:
        dialog = QFileDialog(self, title)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(act)
        dialog.open()

    def _forget(self, entry: ModelEntry) -> None:
        kept = tuple(folder for folder in self._folders if Path(folder) != entry.folder)
        for copy in library.packed_copies(entry.folder):
            self._try(partial(installation.move_to_trash, copy))
        self._store.change(model_folders=kept)

    def _ask_remove(self, entry: ModelEntry) -> None:
        question = f"Remove {entry.label} from this computer?"
        price = "To use it again it has to be downloaded or imported again."
        self._ask(question, price, "Remove", lambda: self._remove(entry))

    def _ask_cancel(self, entry: ModelEntry) -> None:
        if not (item := entry.download):
            return
        if item.done_bytes < _DEAR_BYTES or item.state is DownloadState.PROBED:
            item.cancel()
            return
        question = f"Delete what has arrived of {entry.label}?"
        price = unbroken(f"{disk_text(item.done_bytes)} are deleted.")
        self._ask(question, price, "Delete", item.cancel)

    def _ask(self, question: str, price: str, answer: str, act: Callable[[], object]) -> None:
        box = QMessageBox(self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(question)
        box.setInformativeText(price)
        yes = box.addButton(answer, QMessageBox.ButtonRole.DestructiveRole)
        keep = box.addButton("Keep", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        yes.clicked.connect(act)
        box.open()

    def _remove(self, entry: ModelEntry) -> None:
        if entry.local:
            local = entry.local
            self._try(lambda: library.remove(local))
            self.scan()

    def _show_licence(self, entry: ModelEntry) -> None:
        if file := entry.licence_file:
            show_licence(f"Licence of {entry.label}", entry.source, file, self)

    def _try(self, act: Callable[[], object]) -> None:
        """Tells a fault."""
        try:
            act()
        except FaultError as error:
            self._show_fault(error.fault)
        else:
            self.fault.hide()
