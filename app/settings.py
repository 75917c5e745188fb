"""What the writer chose: each setting declared once, kept in one JSON file."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
import platformdirs
from msgspec import Meta
from PySide6.QtCore import QIODevice, QObject, QSaveFile, Signal

from engine.plans import Precision

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each field: type, range, label, default. None is the model's own; as a seed, a new one each time; as
    unload_after_minutes, never. model_folders: the writer's own; offered: the real model, to this writer.
    """

    model: Annotated[str, Meta(title="Model", min_length=1)] = "starter"
    device: Annotated[str, Meta(title="Device", min_length=1)] = "auto"
    precision: Annotated[Literal["auto", Precision], Meta(title="Precision")] = "auto"
    model_folders: Annotated[tuple[str, ...], Meta(title="Added folders")] = ()
    unload_after_minutes: Annotated[int, Meta(title="Free the memory when idle", ge=1, le=1440)] | None = None
    offered: Annotated[bool, Meta(title="The real model was offered")] = False
    max_steps: Annotated[int, Meta(title="Steps", ge=1, le=128)] | None = None
    canvases: Annotated[int, Meta(title="Length", ge=1, le=4)] = 1
    context_tokens: Annotated[int, Meta(title="Context", ge=256, le=32768)] = 2048
    seed: Annotated[int, Meta(title="Seed", ge=0, le=2**63 - 1)] | None = None
    t_max: Annotated[float, Meta(title="Temperature at the start", ge=0.01, le=2.0)] | None = None
    t_min: Annotated[float, Meta(title="Temperature at the end", ge=0.01, le=2.0)] | None = None
    entropy_bound: Annotated[float, Meta(title="Entropy bound", ge=0.0, le=10.0)] | None = None
    early_stop: Annotated[bool, Meta(title="Stop once the draft has settled")] = True
    read_ahead: Annotated[bool, Meta(title="Read along while I pause")] = True
    theme: Annotated[Literal["system", "light", "dark", "sepia"], Meta(title="Theme")] = "system"
    font_family: Annotated[str, Meta(title="Font", min_length=1, max_length=200)] = "Vollkorn"
    font_size_px: Annotated[int, Meta(title="Size", ge=12, le=40)] = 20
    reduced_motion: Annotated[Literal["system", "on", "off"], Meta(title="Reduced motion")] = "system"
    panel_open: Annotated[bool, Meta(title="Settings panel open")] = False
    window_geometry: Annotated[str, Meta(title="Window geometry", max_length=4096)] = ""


_EXPLAINED = {
    "max_steps": "More steps take longer and read better; a draft that has settled stops before.",
    "canvases": "How many paragraphs of up to about 200 words a draft has.",
    "context_tokens": "How much of your text before the caret the model reads; more takes memory.",
    "seed": "The same number and the same text give the same draft.",
    "t_max": "Higher is more surprising, while the first words are found.",
    "t_min": "Higher is more surprising, while the last words are found.",
    "entropy_bound": "How unsure words may be and still be taken in a step. Higher is faster and rougher.",
    "early_stop": "A draft ends before its last step once nothing in it changes any more.",
    "read_ahead": "While you pause, the engine reads around the caret, so that a draft comes sooner.",
}
_HINTS = get_type_hints(Settings, include_extras=True)


def _meta(name: str) -> Meta:
    for part in (_HINTS[name], *get_args(_HINTS[name])):
        for extra in get_args(part):
            if isinstance(extra, Meta):
                return extra
    raise LookupError(name)


def label(name: str) -> str:
    """The setting's name, for the writer."""
    return _meta(name).title or name


def explanation(name: str) -> str:
    """What the setting does, for the writer, in a sentence; empty where the label says it all."""
    return _EXPLAINED.get(name, "")


def limits(name: str) -> tuple[float, float]:
    """The smallest and the largest value of a number."""
    meta = _meta(name)
    assert meta.ge is not None
    assert meta.le is not None
    return meta.ge, meta.le


def problem(name: str, value: object) -> str | None:
    """Why the value will not do, in a sentence that names it; None if it will."""
    try:
        msgspec.convert(value, _HINTS[name])
    except msgspec.ValidationError as error:
        return f"{label(name)}: {value!r} will not do. {error}."
    return None


def load_settings(settings: Settings) -> tuple[str, str, str]:
    """What the loaded model depends on."""
    return settings.model, settings.device, settings.precision


def from_stored(stored: object) -> Settings:
    """The settings of a parsed file: whatever is of no use falls back to its default and is logged."""
    if not isinstance(stored, dict):
        _log.warning("The settings file holds no settings; the defaults are used.")
        return Settings()
    good: dict[str, Any] = {}
    for field in fields(Settings):
        if field.name not in stored:
            continue
        fault = problem(field.name, stored[field.name])
        if fault is None:
            good[field.name] = msgspec.convert(stored[field.name], _HINTS[field.name])
        else:
            _log.warning("%s The default is used: %r.", fault, field.default)
    return Settings(**good)


def default_path() -> Path:
    return platformdirs.user_config_path("mezzotint", appauthor=False) / "settings.json"


class SettingsStore(QObject):
    """The current settings, saved at each change. failed: they hold for this run, but were not saved.

    overrides: values of the command line, for this run alone.
    """

    changed = Signal(Settings)
    failed = Signal(str)

    def __init__(self, path: Path, parent: QObject | None = None, **overrides: Any) -> None:
        super().__init__(parent)
        self._path = path
        self._unsaved: dict[str, Any] = {}
        self._stored = _load(path, Settings())
        self.current = replace(self._stored, **overrides)

    def change(self, **values: Any) -> None:
        """Raises ValueError, naming the value, for one that is out of range or no setting at all."""
        for name, value in values.items():
            if name not in _HINTS:
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
        """What another window has saved stays."""
        stored = replace(_load(self._path, self._stored), **self._unsaved)
        data = msgspec.json.format(msgspec.json.encode(asdict(stored)), indent=2)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._report(str(error))
            return
        file = QSaveFile(str(self._path))
        if not (
            file.open(QIODevice.OpenModeFlag.WriteOnly) and file.write(data) == len(data) and file.commit()
        ):
            self._report(file.errorString())
            return
        self._stored = stored
        self._unsaved.clear()

    def _report(self, reason: str) -> None:
        _log.error("The settings could not be saved to %s: %s", self._path, reason)
        self.failed.emit(f"Your settings could not be saved to {self._path}: {reason}")


def _load(path: Path, otherwise: Settings) -> Settings:
    """otherwise: if there is no file that can be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return otherwise
    except OSError as error:
        _log.warning("The settings file could not be read: %s", error)
        return otherwise
    try:
        return from_stored(msgspec.json.decode(data))
    except (msgspec.DecodeError, RecursionError) as error:
        _log.warning("The settings file %s is damaged: %s", path, error)
        return otherwise
