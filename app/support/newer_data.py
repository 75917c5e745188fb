"""Data of a newer version of Mezzotint: told in one message, left as it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import platformdirs
from PySide6.QtCore import QObject

from app.documents import recovery
from app.documents.atomic_file import read_ordinary
from app.history.schema import VERSION, database_path, history_folder, version_of
from app.models.transfer.file_names import RECORD
from app.models.transfer.installation import RECORD_FORMAT
from app.provenance import record as provenance
from app.provenance.store import SUFFIX, records_folder
from app.settings import store
from app.widgets.message_bar import Choice, MessageBar
from app.worker.background import BackgroundCall
from engine.checkpoints.catalogue import models_folder
from engine.installation import ACTIVE_FILE, engine_home
from engine.installation import FORMAT as ENGINE_FORMAT
from engine.protocol.file_format import NewerFormatError, check_format


class NewerDataNotice(QObject):
    """Looks outside the GUI thread: a disk may be slow. way: to the page with newer versions."""

    def __init__(self, notice: MessageBar, way: Choice, parent: QObject) -> None:
        super().__init__(parent)
        self._notice = notice
        self._way = way
        self.call = BackgroundCall("look for newer data", self)
        self.call.returned.connect(self._on_returned)
        self.call.start(newer_data)

    def _on_returned(self, found: list[str]) -> None:
        if found:
            listed = " and ".join(filter(None, (", ".join(found[:-1]), found[-1])))
            message = f"There is data of a newer version of Mezzotint here: {listed}. It is left as it is."
            remedy = f"Use the newer version to get at it.{_SETTINGS_HOLD * (_SETTINGS in found)}"
            self._notice.show_message(message, remedy, self._way)


_SETTINGS = "your settings"
_SETTINGS_HOLD = " What you set in this one holds until you quit."


def newer_data() -> list[str]:
    """In words."""
    copies = platformdirs.user_state_path("mezzotint", appauthor=False) / "recovery"
    texts = _count(copies.glob("*/*.recovery"), recovery.FORMAT)
    models = _count(models_folder().glob(f"*/{RECORD}"), RECORD_FORMAT)
    found = {
        _SETTINGS: _count([store.default_path()], store.FORMAT),
        "a text that was not saved" if texts == 1 else f"{texts} texts that were not saved": texts,
        "the history of your drafts": int(version_of(database_path(history_folder())) > VERSION),
        "what was drafted in a text": _count(records_folder().glob(f"*{SUFFIX}"), provenance.FORMAT),
        "the engine": _count([engine_home() / ACTIVE_FILE], ENGINE_FORMAT),
        "a model’s download" if models == 1 else f"the downloads of {models} models": models,
    }
    return [words for words, count in found.items() if count]


def _count(files: Iterable[Path], known: int) -> int:
    return sum(_is_newer(file, known) for file in files)


def _is_newer(file: Path, known: int) -> bool:
    try:
        check_format(read_ordinary(file), known)
    except NewerFormatError:
        return True
    except OSError:
        return False
    return False
