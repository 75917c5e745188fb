"""The settings panel; each change holds at once."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QLabel, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from app.settings.fields import Fields
from app.settings.schema import Settings
from app.settings.store import SettingsStore
from app.widgets.device_label import device_label
from app.widgets.panel import SHORT_TEXT, go_round, heading, link, named, page_rows, title_row
from engine.hardware.selection import device_named, device_setting
from engine.installation import KIND
from engine.protocol.events import Device, Ready

_WORDS_PER_TOKEN = 0.75
_USUAL_STEPS = 48
_CONTEXTS = [256 * 2**n for n in range(8)]
_THEMES: dict[object, str] = {
    "system": "Follow the system",
    "light": "Light",
    "dark": "Dark",
    "sepia": "Sepia",
}
_MOTION: dict[object, str] = {"system": "Follow the system", "on": "On", "off": "Off"}
_UNLOAD_AFTER = (None, 5, 15, 60)
_FORGOTTEN: dict[object, str] = {
    30: "After a month",
    90: "After three months",
    365: "After a year",
    None: "Never",
}
_ROOM: dict[object, str] = {
    100: "Up to 100 MB",
    500: "Up to 500 MB",
    2000: "Up to 2 GB",
    10_000: "Up to 10 GB",
}
_OWN_DEFAULTS = {"max_steps": None, "t_max": None, "t_min": None, "entropy_bound": None, "early_stop": True}


class SettingsPanel(QWidget):
    """The side panel's pages: the settings, and others in their place."""

    closed = Signal()
    """The writer wants the panel gone."""
    models_asked = Signal()
    """The writer wants the page of models in place of the settings."""
    engine_asked = Signal()
    """The same, of the engine."""
    history_asked = Signal()
    """The same, of the history."""

    def __init__(self, store: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._devices: tuple[Device, ...] = ()
        self._chosen: Device | None = None
        self._model: Ready | None = None
        self._families: dict[object, str] = {}
        self.setProperty("panel", True)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Settings")
        self.setFixedWidth(max(300, 23 * self.fontInfo().pixelSize()))
        self._settings = QWidget()
        rows, _ = page_rows(self._settings, self.width())
        self._fields = Fields(store, rows)
        self._build_drafting(rows)
        self._build_advanced(rows)
        rows.addSpacing(18)
        rows.addWidget(heading("Page"))
        self._fields.combo("theme", lambda _: _THEMES)
        self._fields.combo("font_family", self._fonts)
        self._fields.slider("font_size_px", "{} px".format)
        self._fields.combo("reduced_motion", lambda _: _MOTION)
        self._build_history(rows)
        rows.addStretch(1)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._settings)
        store.changed.connect(self._show)
        self._show(store.current)

    def show_devices(self, devices: tuple[Device, ...], chosen: Device | None) -> None:
        """All devices of this machine; chosen: where the model runs, once it does."""
        self._devices, self._chosen = devices, chosen
        self._show(self._store.current)

    def show_model(self, model: Ready) -> None:
        """Where a setting says `the model's own`, this model's value is shown."""
        self._model, self._chosen = model, model.device
        self._show(self._store.current)

    def show_page(self, page: QWidget) -> None:
        """In place of the settings, until show_settings()."""
        if self._pages.indexOf(page) < 0:
            self._pages.addWidget(page)
        self._pages.setCurrentWidget(page)

    def show_settings(self) -> None:
        if self._pages.currentWidget() is not self._settings:
            self._pages.setCurrentWidget(self._settings)
            self.focus_first()

    def focus_first(self) -> None:
        self._models.setFocus()

    def _build_drafting(self, rows: QVBoxLayout) -> None:
        fields = self._fields
        rows.addLayout(title_row(heading("Drafting"), self.closed.emit))
        self._models = link("Models  ›", self.models_asked.emit, "Models")
        rows.addSpacing(8)
        rows.addWidget(fields.caption("model", self._models))
        rows.addWidget(self._models, 0, Qt.AlignmentFlag.AlignLeft)
        self.device = fields.combo("device", self._device_choices, self._device_shown, late=True)
        self.engine = link("Engine  ›", self.engine_asked.emit, "Engine")
        self.engine.setVisible(KIND == "built")
        self._device_note = QLabel()
        self._device_note.setWordWrap(True)
        self._device_note.setProperty("quiet", True)
        rows.addWidget(self._device_note)
        rows.addWidget(self.engine, 0, Qt.AlignmentFlag.AlignLeft)
        fields.slider("max_steps", self._steps_text, own=lambda: self._own("max_steps") or _USUAL_STEPS)
        fields.slider("length", _length_text)
        fields.slider("variants", str)
        fields.slider("context_tokens", self._context_text, _CONTEXTS)
        self._seed = named(fields.number_field("seed"), "Seed number")
        fields.combo("seed", _seed_choices, beside=self._seed)
        rows.addWidget(self._seed.problem)
        rows.addSpacing(8)
        fields.check("read_ahead")
        fields.check("check_glitches")
        fields.check("check_facts")
        fields.combo(
            "unload_after_minutes",
            lambda current: {
                minutes: f"After {minutes} minutes" if minutes else "Never"
                for minutes in (*_UNLOAD_AFTER, current)
            },
        )

    def _build_advanced(self, rows: QVBoxLayout) -> None:
        self._disclosure = named(QPushButton("Advanced  +"), "Advanced")
        self._disclosure.setCheckable(True)
        self._disclosure.setProperty("link", True)
        self._advanced = QWidget()
        self._advanced.hide()
        rows.addSpacing(4)
        rows.addWidget(self._disclosure, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(self._advanced)
        inner = self._fields.rows = QVBoxLayout(self._advanced)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(8)
        reset = QPushButton("Use the model’s own values")
        reset.clicked.connect(lambda: self._store.change(**_OWN_DEFAULTS))
        for name in ("t_max", "t_min", "entropy_bound"):
            reset.clicked.connect(self._fields.number(name, partial(self._own, name)).restore)
        self._fields.check("early_stop")
        inner.addWidget(reset)
        self._fields.rows = rows
        self._disclosure.toggled.connect(self._on_disclosed)

    def _build_history(self, rows: QVBoxLayout) -> None:
        rows.addSpacing(18)
        rows.addWidget(heading("History"))
        rows.addWidget(link("Drafts  ›", self.history_asked.emit), 0, Qt.AlignmentFlag.AlignLeft)
        self._fields.check("history")
        self._fields.combo("history_days", lambda days: {days: f"After {days} days"} | _FORGOTTEN)
        self._fields.combo("history_mb", lambda size: {size: f"Up to {size} MB"} | _ROOM)

    def _on_disclosed(self, opened: bool) -> None:
        self._advanced.setVisible(opened)
        self._disclosure.setText("Advanced  −" if opened else "Advanced  +")

    def _show(self, settings: Settings) -> None:
        self._fields.show(settings)
        label = self._model.label if self._model else ""
        self._models.setText(f"{label or 'Models'}  ›")
        self._models.setAccessibleDescription(label)
        self._seed.setVisible(settings.seed is not None)
        for index, device in enumerate(self._devices, start=1):
            self.device.setItemData(index, device_label(device), SHORT_TEXT)
        auto = settings.device == "auto"
        shown = self._chosen if auto else device_named(settings.device, self._devices)
        note = _memory(shown) if shown else ""
        self._device_note.setText(note)
        self._device_note.setVisible(bool(note))
        self.device.setAccessibleDescription(note)
        self.device.setToolTip(self.device.currentText())

    def _device_shown(self, setting: str) -> str:
        """The setting, as the device that it names is chosen."""
        device = None if setting == "auto" else device_named(setting, self._devices)
        return device_setting(device) if device else setting

    def _device_choices(self, setting: str) -> dict[object, str]:
        runs_on = f"Auto · {self._chosen.name}" if setting == "auto" and self._chosen else "Auto"
        choices: dict[object, str] = {"auto": runs_on}
        for device in self._devices:
            choices[device_setting(device)] = " · ".join(filter(None, (device.name, _memory(device))))
        choices.setdefault(self._device_shown(setting), _gone(setting, self._devices))
        return choices

    def _own(self, name: str) -> Any:
        """The model's own value; None while no model is loaded."""
        return getattr(self._model, name, None)

    def _steps_text(self, steps: int | None) -> str:
        most = steps or self._own("max_steps")
        return f"up to {most}" if most else "the model’s own"

    def _context_text(self, tokens: int) -> str:
        most = self._model.context_tokens if self._model else tokens
        words = f"{_about(min(tokens, most) * _WORDS_PER_TOKEN):,} words"
        return f"{words}, all it can read" if tokens > most else f"about {words} before"

    def _fonts(self, current: str) -> dict[object, str]:
        return self._families | {current: self._families.get(current, _gone(current, self._families))}

    def focusNextPrevChild(self, forward: bool) -> bool:
        return go_round(self, forward)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        if not self._families:
            self._families = {
                family: family
                for family in QFontDatabase.families()
                if not QFontDatabase.isPrivateFamily(family) and QFontDatabase.isSmoothlyScalable(family)
            }
            self._show(self._store.current)
        super().showEvent(event)


def _length_text(length: int) -> str:
    more = f"several paragraphs, up to {200 * length} words"
    return ("a sentence", "a paragraph", more)[min(length, 2)]


def _seed_choices(seed: int | None) -> dict[object, str]:
    return {None: "New each time", 1 if seed is None else seed: "Always the same"}


def _gone(value: str, there: Collection[object]) -> str:
    return f"{value} (not found)" if there else value


def _memory(device: Device) -> str:
    if not device.total_bytes:
        return ""
    total = f"{device.total_bytes / 2**30:.0f} GB"
    return f"{device.free_bytes / 2**30:.1f} of {total} free" if device.free_bytes else total


def _about(words: float) -> int:
    """Rounded to what a reader takes in."""
    unit = 50 if words < 1000 else 500
    return max(unit, round(words / unit) * unit)
