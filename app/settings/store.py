"""Load and save the settings file."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
from PySide6.QtCore import QObject, Signal

from app.documents.atomic_file import read_ordinary, set_aside, write_atomically
from app.settings.schema import HINTS, Settings, from_stored, problem
from engine.protocol.errors import Fault, reason_of
from engine.protocol.file_format import NewerFormatError, check_format

FORMAT = 1
"""Raise it whenever a setting's name or meaning changes."""
_log = logging.getLogger(__name__)


def default_path() -> Path:
    return platformdirs.user_config_path("mezzotint", appauthor=False) / "settings.json"


class SettingsStore(QObject):
    """The current settings, saved at each change."""

    changed = Signal(Settings)
    failed = Signal(Fault)
    """They hold for this run, but were not saved; or the file was damaged meanwhile and was set aside."""

    def __init__(self, path: Path, parent: QObject | None = None, **overrides: Any) -> None:
        """overrides: values of the command line, for this run alone."""
        super().__init__(parent)
        self._path = path
        self._unsaved: dict[str, Any] = {}
        self._stored, self.set_aside = Settings(), None
        """set_aside: told once somebody listens, if there was a file that could not be read."""
        with suppress(NewerFormatError):
            self._stored, self.set_aside = _load(path, Settings())
        self.current = replace(self._stored, **overrides)

    def change(self, **values: Any) -> None:
        """Raises ValueError, naming the value, for one that is out of range or no setting at all."""
        for name, value in values.items():
            if name not in HINTS:
                raise ValueError(f"{name!r} is no setting")
            if fault := problem(name, value):
                raise ValueError(fault)
        settings = replace(self.current, **values)
        if settings == self.current:
            return
        self.current = settings
        self._unsaved |= values
        self._save()
        self.changed.emit(settings)

    def _save(self) -> None:
        """What another window has saved stays; so does a newer version's file."""
        try:
            read, set_aside = _load(self._path, self._stored)
        except NewerFormatError:
            return
        if set_aside:
            self.failed.emit(set_aside)
        stored = replace(read, **self._unsaved)
        data = msgspec.json.format(msgspec.json.encode({"format": FORMAT} | asdict(stored)), indent=2)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, data)
        except OSError as error:
            _log.error("The settings could not be saved to %s: %s", self._path, error)
            reason, remedy = reason_of(error)
            told = f"Your settings could not be saved to {self._path}: {reason}."
            self.failed.emit(Fault("settings", told, remedy or "They hold until you quit."))
            return
        self._stored = stored
        self._unsaved.clear()


def _load(path: Path, otherwise: Settings) -> tuple[Settings, Fault | None]:
    """otherwise: if there is no file that can be read; one that cannot is set aside, never written over.
    Raises NewerFormatError.
    """
    try:
        data = read_ordinary(path)
        check_format(data, FORMAT)
        return from_stored(msgspec.json.decode(data, type=dict[str, Any])), None
    except (FileNotFoundError, NotADirectoryError):
        return otherwise, None
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        _log.warning("The settings file %s could not be read: %s", path, error)
    try:
        kept = set_aside(path)
    except OSError as error:
        _log.error("It could not be set aside: %s", error)
        return otherwise, Fault("settings", f"Your settings in {path} could not be read.")
    remedy = f"The old file is kept as {kept.name} in the same folder; your settings begin anew."
    return otherwise, Fault("settings", f"Your settings in {path} could not be read.", remedy)
