"""What the writer does with models, with the questions that are asked before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from app.documents.files import check_text
from app.models import library
from app.models.download_job import DownloadJob, DownloadState
from app.models.download_queue import DownloadQueue
from app.models.library import LocalModel
from app.models.model_entry import ModelEntry, catalogue_name
from app.models.progress_text import unbroken
from app.models.transfer import installation
from app.models.ui.licence_dialog import show_licence
from app.settings.store import SettingsStore
from app.widgets.question import question, set_default
from app.worker.model_session import ModelSession
from engine.checkpoints.units import disk_text
from engine.protocol.errors import FaultError
from engine.protocol.events import Device

T = TypeVar("T")
_DEAR_BYTES = 10**9
"""So much of a download is not deleted unasked."""


class ModelActions(QObject):
    """Use, download, add, import and remove models."""

    tried = Signal(object)
    """The Fault of what was tried, or None."""
    removed = Signal()

    def __init__(
        self, store: SettingsStore, model: ModelSession, downloads: DownloadQueue, window: QWidget
    ) -> None:
        """window: what questions stand above."""
        super().__init__(window)
        self._store = store
        self._model = model
        self._downloads = downloads
        self._window = window

    def use(self, entry: ModelEntry, precision: str) -> None:
        if (entry.model, precision) != (self._store.current.model, self._store.current.precision):
            self._store.change(model=entry.model, precision=precision)
        else:
            self._model.reload()

    def measure_link(self, card: Device) -> None:
        self._model.measure_link(card)

    def unload(self) -> None:
        self._model.unload()

    def download(self, entry: ModelEntry, token: str) -> None:
        """Or go on with it."""
        if entry.download:
            self._try(partial(entry.download.resume, token or None))
        else:
            self._try(partial(self._downloads.download, entry.repo, token))

    def probe(self, repo: str) -> DownloadJob | None:
        return self._try(partial(self._downloads.download, repo, probe=True))

    def ask_folder(self, title: str, act: Callable[[str], object]) -> None:
        dialog = QFileDialog(self._window, title)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(act)
        dialog.open()

    def add_folder(self, path: str) -> None:
        """Use the model in it where it lies."""
        self._try(partial(self._add_folder, path))

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
        added = dict.fromkeys((*self._store.current.model_folders, path))
        self._store.change(model_folders=tuple(added))

    def import_folder(self, path: str) -> None:
        self._try(lambda: self._downloads.import_model(Path(path), catalogue_name(Path(path))))

    def forget(self, entry: ModelEntry) -> None:
        """Take it off the list; its folder stays."""
        folders = self._store.current.model_folders
        for copy in library.packed_copies(entry.folder):
            self._try(partial(installation.move_to_trash, copy))
        self._store.change(model_folders=tuple(each for each in folders if Path(each) != entry.folder))

    def ask_remove(self, entry: ModelEntry) -> None:
        if entry.local:
            text = f"Remove {entry.label} from this computer?"
            price = "To use it again it has to be downloaded or imported again."
            self._ask(text, price, "Remove", partial(self.remove, entry.local))

    def remove(self, model: LocalModel) -> None:
        self._try(partial(library.remove, model))
        self.removed.emit()

    def pause(self, entry: ModelEntry) -> None:
        if entry.download:
            entry.download.pause()

    def ask_cancel(self, entry: ModelEntry) -> None:
        if not (item := entry.download):
            return
        if item.done_bytes < _DEAR_BYTES or item.state is DownloadState.PROBED:
            item.cancel()
            return
        text = f"Delete what has arrived of {entry.label}?"
        price = unbroken(f"{disk_text(item.done_bytes)} are deleted.")
        self._ask(text, price, "Delete", item.cancel)

    def _ask(self, text: str, price: str, answer: str, act: Callable[[], object]) -> None:
        box = question(text, price, self._window)
        box.addButton(answer, QMessageBox.ButtonRole.DestructiveRole).clicked.connect(act)
        keep = box.addButton("Keep", QMessageBox.ButtonRole.RejectRole)
        set_default(box, keep)
        box.setEscapeButton(keep)
        box.open()

    def show_licence(self, entry: ModelEntry) -> None:
        if file := entry.licence_file:
            show_licence(f"Licence of {entry.label}", entry.source, file, self._window)

    def _try(self, act: Callable[[], T]) -> T | None:
        try:
            result = act()
        except FaultError as error:
            self.tried.emit(error.fault)
            return None
        self.tried.emit(None)
        return result
