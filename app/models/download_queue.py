"""All downloads and imports: running, waiting, and left by earlier runs."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.documents.files import check_text
from app.models import library
from app.models.download_job import DownloadJob, DownloadState, lock
from app.models.model_entry import HUB
from app.models.transfer import installation
from app.models.transfer.file_names import name_of, plain_name
from app.models.transfer.messages import HubOrder, ImportOrder, Order
from engine.checkpoints.catalogue import KNOWN_MODELS, models_folder, packed_models_folder
from engine.protocol.errors import FaultError

log = logging.getLogger(__name__)

HUB_PAGE = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/")
REPO = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", re.ASCII)


class DownloadQueue(QObject):
    """All that are not done, one download, one probe and one import at a time; the others wait. Those of
    earlier runs are found again, paused.
    """

    added = Signal(DownloadJob)
    removed = Signal(DownloadJob)
    finished = Signal(DownloadJob)
    closed = Signal()
    """The window goes."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.items: list[DownloadJob] = []
        self._root = models_folder()
        for root in (self._root, packed_models_folder()):
            installation.purge_trash(root)
        for folder in installation.unfinished(self._root):
            self._find_again(folder)

    def download(self, repo: str, token: str = "", *, probe: bool = False) -> DownloadJob:
        """repo: owner/model, or its address. One that was begun goes on. probe: fetch no weights yet.

        Raises FaultError for what can be no model's name, or is here already.
        """
        repo = _repo_in(repo)
        folder = folder_of(repo)
        if not _is_repo(repo):
            raise _refusal(f"“{repo}” is no model’s name.", "Write it as the Hub does: owner/model.")
        if not plain_name(folder.name):
            raise _refusal(
                f"“{repo}” cannot be kept here: no folder may have its name.", "Choose another model."
            )
        _check_not_newer(folder)
        if library.is_whole(folder):
            raise _refusal(f"“{repo}” is on this computer already.", "Remove it first to download it anew.")
        if not self._is_known(folder) and os.path.exists(installation.partial(folder)):
            self._find_again(folder)  # another window has begun it
        for item in self.items:
            if item.folder == folder:
                if not probe or (item.is_probe and item.state is DownloadState.FAILED):
                    item.resume(token or None)
                return item
        return self._add(HubOrder(folder=str(folder), repo=repo, token=token.strip(), probe=probe))

    def import_model(self, source: Path, name: str = "") -> DownloadJob:
        """Copy the model in `source`. name: that of the catalogue's model it is. Raises FaultError."""
        source = source.resolve()
        check_text(source)
        name = name or name_of(source)
        folder = self._root / name
        if not plain_name(name):
            rename = "Rename it, or choose the model’s own folder."
            raise _refusal(f"“{source}” has no name that a model here can have.", rename)
        _check_not_newer(folder)
        if self._is_known(folder):
            raise _refusal(f"“{name}” is on its way here already.", "Wait for it, or cancel that first.")
        if os.path.lexists(folder):
            rename = "Remove it first, or rename the folder that you import."
            raise _refusal(f"There is a model named “{name}” already.", rename)
        return self._add(ImportOrder(folder=str(folder), source=str(source)))

    def close(self) -> None:
        """Ends every process. What is there so far is found again by the next run."""
        for item in self.items:
            item.ended.disconnect(self._on_ended)
            item.state_changed.disconnect(self._on_state)
            item.close()
        self.closed.emit()

    def _is_known(self, folder: Path) -> bool:
        return any(item.folder == folder for item in self.items)

    def _add(self, order: Order, record: installation.InstallRecord | None = None) -> DownloadJob:
        item = DownloadJob(order, record, self)
        item.state_changed.connect(self._on_state)
        item.ended.connect(self._on_ended)
        self.items.append(item)
        self.added.emit(item)
        self._start_next()
        return item

    def _find_again(self, folder: Path) -> None:
        if installation.is_newer(installation.partial(folder)):
            return
        record = installation.read_record(installation.partial(folder))
        try:
            held = lock(folder)
            if not held:  # another window is busy with it
                return
            if not record:  # it had not come far enough to be of use
                installation.move_to_trash(installation.partial(folder))
        except (OSError, FaultError) as error:  # on a full disk, say: it can be given up all the same
            log.warning("%s: %s", folder, error)
        if record and record.source:
            self._add(ImportOrder(folder=str(folder), source=record.source), record)
        elif record:
            order = HubOrder(
                folder=str(folder), repo=record.repo, revision=record.revision, probe=record.probe
            )
            self._add(order, record)

    def _start_next(self) -> None:
        for item in list(self.items):
            busy = {(other.is_import, other.is_probe) for other in self.items if other.has_process}
            if item.state is DownloadState.QUEUED and (item.is_import, item.is_probe) not in busy:
                item.start()

    def _on_state(self, state: DownloadState) -> None:
        if state is DownloadState.QUEUED:
            self._start_next()

    def _on_ended(self) -> None:
        for item in list(self.items):
            if item.state in (DownloadState.DONE, DownloadState.CANCELLED) and not item.has_process:
                self.items.remove(item)
                if item.state is DownloadState.DONE:
                    self.finished.emit(item)
                self.removed.emit(item)
        self._start_next()


def _refusal(message: str, remedy: str) -> FaultError:
    return FaultError("input", message, remedy)


def _check_not_newer(folder: Path) -> None:
    if installation.is_newer(installation.partial(folder)):
        begun = f"“{folder.name}” was begun by a newer version of Mezzotint, and is left as it is."
        raise _refusal(begun, "Go on with it there.")


def _repo_in(text: str) -> str:
    """owner/model, where the text is that or its address."""
    return HUB_PAGE.sub("", text.strip(), count=1).strip("/")


def _is_repo(name: str) -> bool:
    return REPO.fullmatch(name) is not None and ".." not in name and "--" not in name


def page_of(text: str) -> str:
    """The address of the model that the text names; empty if it names none."""
    repo = _repo_in(text)
    return f"{HUB}{repo}" if _is_repo(repo) else ""


def folder_of(repo: str) -> Path:
    """Where a repository's model is, or will be."""
    known = (known.folder for known in KNOWN_MODELS if known.source.casefold() == repo.casefold())
    return next(known, models_folder() / repo.replace("/", "--"))
