"""The settings panel; each change holds at once."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRegularExpression, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QFontDatabase, QKeyEvent, QRegularExpressionValidator, QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from app.settings.schema import Settings, explanation, label, limits, problem
from app.settings.store import SettingsStore
from app.widgets.combo_box import ComboBox
from app.widgets.device_label import device_label
from app.widgets.panel import SHORT_TEXT, heading, link, named, page_rows, tame, title_row
from engine.hardware.selection import device_named, device_setting
from engine.protocol.events import Device, Ready

_WORDS_PER_TOKEN = 0.75
_USUAL_STEPS = 48
_CONTEXTS = [256 * 2**n for n in range(8)]
_THEMES = {"system": "Follow the system", "light": "Light", "dark": "Dark", "sepia": "Sepia"}
_MOTION = {"system": "Follow the system", "on": "On", "off": "Off"}
_UNLOAD_AFTER = (None, 5, 15, 60)
_OWN_DEFAULTS = {"max_steps": None, "t_max": None, "t_min": None, "entropy_bound": None, "early_stop": True}


class SettingsPanel(QWidget):
    """closed: the writer wants the panel gone; models_asked: and the page of models in its place."""

    closed = Signal()
    models_asked = Signal()

    def __init__(self, store: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._devices: tuple[Device, ...] = ()
        self._chosen: Device | None = None
        self._model: Ready | None = None
        self.setProperty("panel", True)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Settings")
        self.setFixedWidth(max(300, 23 * self.fontInfo().pixelSize()))
        self._build()
        store.changed.connect(self._show)
        self._show(store.current)

    def show_devices(self, devices: tuple[Device, ...], chosen: Device | None) -> None:
        """All devices of this machine; chosen: where the model runs, once it does."""
        self._devices, self._chosen = devices, chosen
        self._show_device(self._store.current)

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

    def focus_device(self) -> None:
        self._device.setFocus()

    # ------------------------------------------------------------------ what it is made of

    def _build(self) -> None:
        self._settings = QWidget()
        self._rows, _ = page_rows(self._settings, self.width())
        self._build_drafting()
        self._build_advanced()
        self._build_page()
        self._rows.addStretch(1)

        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._settings)

    def _build_drafting(self) -> None:
        self._rows.addLayout(title_row(heading("Drafting"), self.closed.emit))
        self._models = link("Models  ›", self.models_asked.emit, "Models")
        self._caption("model", self._models)
        self._rows.addWidget(self._models, 0, Qt.AlignmentFlag.AlignLeft)

        self._device = self._combo("device", once_settled=True)
        self._device_note = QLabel(wordWrap=True)
        self._device_note.setProperty("quiet", True)
        self._rows.addWidget(self._device_note)
        low, high = limits("max_steps")
        self._steps = self._slider("max_steps", int(low), int(high), int)
        low, high = limits("canvases")
        self._length = self._slider("canvases", int(low), int(high), int)
        self._context = self._slider("context_tokens", 0, len(_CONTEXTS) - 1, _CONTEXTS.__getitem__)
        self._build_seed()
        self._read_ahead = QCheckBox(label("read_ahead"))
        self._read_ahead.setToolTip(explanation("read_ahead"))
        self._read_ahead.toggled.connect(lambda on: self._store.change(read_ahead=on))
        self._rows.addSpacing(8)
        self._rows.addWidget(self._read_ahead)
        self._unload = named(ComboBox(), label("unload_after_minutes"))
        for minutes in _UNLOAD_AFTER:
            self._unload.addItem(f"After {minutes} minutes" if minutes else "Never", minutes)
        self._unload.activated.connect(
            lambda: self._store.change(unload_after_minutes=self._unload.currentData())
        )
        self._caption("unload_after_minutes", self._unload)
        self._rows.addWidget(self._unload)
        tame(self._unload)

    def _build_seed(self) -> None:
        self._seed_kind = named(ComboBox(), label("seed"))
        self._seed_kind.addItems(["New each time", "Always the same"])
        self._seed_kind.activated.connect(lambda index: self._store.change(seed=1 if index else None))
        self._seed = named(QLineEdit(maxLength=19), "Seed number")
        self._seed.setValidator(QRegularExpressionValidator(QRegularExpression("[0-9]+"), self._seed))
        self._seed.setToolTip(explanation("seed"))
        self._seed.textEdited.connect(self._on_seed_edited)
        self._seed.editingFinished.connect(lambda: self._show_seed(self._store.current))
        self._caption("seed", self._seed_kind)
        row = QHBoxLayout()
        row.addWidget(self._seed_kind, 3)
        row.addWidget(self._seed, 2)
        self._rows.addLayout(row)
        tame(self._seed_kind)

    def _build_advanced(self) -> None:
        self._disclosure = named(QPushButton("Advanced  +"), "Advanced")
        self._disclosure.setCheckable(True)
        self._disclosure.setProperty("link", True)
        self._rows.addSpacing(4)
        self._rows.addWidget(self._disclosure, 0, Qt.AlignmentFlag.AlignLeft)
        self._advanced = QWidget(visible=False)
        outer_rows, self._rows = self._rows, QVBoxLayout(self._advanced)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(8)
        self._numbers = {name: self._number(name) for name in ("t_max", "t_min", "entropy_bound")}
        self._early_stop = QCheckBox(label("early_stop"))
        self._early_stop.setToolTip(explanation("early_stop"))
        self._early_stop.toggled.connect(lambda on: self._store.change(early_stop=on))
        self._rows.addWidget(self._early_stop)
        reset = QPushButton("Use the model’s own values")
        reset.clicked.connect(lambda: self._store.change(**_OWN_DEFAULTS))
        self._rows.addWidget(reset)
        self._rows = outer_rows
        self._rows.addWidget(self._advanced)
        self._disclosure.toggled.connect(self._on_disclosed)

    def _build_page(self) -> None:
        self._rows.addSpacing(18)
        self._rows.addWidget(heading("Page"))
        self._theme = self._combo("theme", _THEMES)
        self._font = self._combo("font_family")
        low, high = limits("font_size_px")
        self._size = self._slider("font_size_px", int(low), int(high), int)
        self._motion = self._combo("reduced_motion", _MOTION)

    def _caption(self, name: str, buddy: QWidget) -> QLabel:
        caption = QLabel(label(name))
        caption.setProperty("quiet", True)
        caption.setBuddy(buddy)
        self._rows.addSpacing(8)
        self._rows.addWidget(caption)
        return caption

    def _combo(
        self, name: str, choices: dict[str, str] | None = None, *, once_settled: bool = False
    ) -> ComboBox:
        combo = named(ComboBox(), label(name))
        for value, text in (choices or {}).items():
            combo.addItem(text, value)
        made = combo.settled if once_settled else combo.activated
        made.connect(lambda: self._store.change(**{name: combo.currentData()}))
        self._caption(name, combo)
        self._rows.addWidget(combo)
        tame(combo)
        return combo

    def _slider(self, name: str, low: int, high: int, value: Callable[[int], int]) -> tuple[QLabel, QSlider]:
        slider = named(QSlider(Qt.Orientation.Horizontal), label(name))
        slider.setToolTip(explanation(name))
        slider.setRange(low, high)
        slider.setPageStep(max(1, (high - low) // 8))
        slider.valueChanged.connect(lambda at: self._store.change(**{name: value(at)}))
        caption = self._caption(name, slider)
        self._rows.addWidget(slider)
        tame(slider)
        return caption, slider

    def _number(self, name: str) -> QDoubleSpinBox:
        low, high = limits(name)
        spin = named(QDoubleSpinBox(minimum=low - 0.01, maximum=high, singleStep=0.05), label(name))
        spin.setToolTip(explanation(name))
        spin.setSpecialValueText("own")
        spin.setKeyboardTracking(False)
        spin.setAlignment(Qt.AlignmentFlag.AlignCenter)
        spin.setFixedWidth(72)
        spin.valueChanged.connect(
            lambda at: self._store.change(**{name: round(at, 2) if at >= low else None})
        )
        caption = QLabel(label(name))
        caption.setProperty("quiet", True)
        caption.setBuddy(spin)
        row = QHBoxLayout()
        row.addWidget(caption, 1)
        row.addWidget(spin)
        self._rows.addLayout(row)
        tame(spin)
        return spin

    # ------------------------------------------------------------------ what it shows

    def _show(self, settings: Settings) -> None:
        self._show_device(settings)
        own = self._model
        self._models.setText(f"{own.label if own else 'Models'}  ›")
        self._models.setAccessibleDescription(own.label if own else "")
        minutes = settings.unload_after_minutes
        _select(self._unload, minutes, "" if minutes in _UNLOAD_AFTER else f"After {minutes} minutes")
        steps = settings.max_steps or (own.max_steps if own else None)
        self._show_slider(
            self._steps, steps or _USUAL_STEPS, f"up to {steps}" if steps else "the model’s own"
        )
        plural = "" if settings.canvases == 1 else "s"
        self._show_slider(self._length, settings.canvases, f"{settings.canvases} paragraph{plural}")
        self._show_context(settings)
        self._show_seed(settings)
        for name, spin in self._numbers.items():
            value = getattr(settings, name)
            if value is None:
                value = getattr(own, name) if own else spin.minimum()
            with QSignalBlocker(spin):
                spin.setValue(value)
        with QSignalBlocker(self._early_stop):
            self._early_stop.setChecked(settings.early_stop)
        with QSignalBlocker(self._read_ahead):
            self._read_ahead.setChecked(settings.read_ahead)
        _select(self._theme, settings.theme)
        _select(self._motion, settings.reduced_motion)
        family = settings.font_family
        _select(self._font, family, f"{family} (not found)" if self._font.count() > 1 else family)
        self._show_slider(self._size, settings.font_size_px, f"{settings.font_size_px} px")

    def _show_slider(self, row: tuple[QLabel, QSlider], at: int, text: str) -> None:
        caption, slider = row
        caption.setText(f"{slider.accessibleName()}: {text}")
        slider.setAccessibleDescription(text)
        with QSignalBlocker(slider):
            slider.setValue(at)

    def _show_device(self, settings: Settings) -> None:
        combo, current = self._device, self._chosen
        named_one = self._device_of(settings.device)
        wanted = device_setting(named_one) if named_one else settings.device
        auto = f"Auto · {current.name}" if settings.device == "auto" and current else "Auto"
        choices: dict[object, str] = {"auto": auto}
        for device in self._devices:
            choices[device_setting(device)] = " · ".join(filter(None, (device.name, _memory(device))))
        choices.setdefault(wanted, f"{wanted} (not found)" if self._devices else wanted)
        combo.show_choices(choices, wanted)
        for index, device in enumerate(self._devices, start=1):
            combo.setItemData(index, device_label(device), SHORT_TEXT)
        shown = current if settings.device == "auto" else named_one
        note = _memory(shown) if shown else ""
        self._device_note.setText(note)
        self._device_note.setVisible(bool(note))
        combo.setAccessibleDescription(note)
        combo.setToolTip(combo.currentText())

    def _device_of(self, device_id: str) -> Device | None:
        return None if device_id == "auto" else device_named(device_id, self._devices)

    def _show_context(self, settings: Settings) -> None:
        most = self._model.context_tokens if self._model else settings.context_tokens
        words = f"{_about(min(settings.context_tokens, most) * _WORDS_PER_TOKEN):,} words"
        told = f"{words}, all it can read" if settings.context_tokens > most else f"about {words} before"
        at = min(range(len(_CONTEXTS)), key=lambda n: abs(_CONTEXTS[n] - settings.context_tokens))
        self._show_slider(self._context, at, told)

    def _show_seed(self, settings: Settings) -> None:
        self._seed_kind.setCurrentIndex(0 if settings.seed is None else 1)
        self._seed.setVisible(settings.seed is not None)
        if settings.seed is not None and self._seed.text() != str(settings.seed):
            self._seed.setText(str(settings.seed))

    # ------------------------------------------------------------------ what the writer does

    def _on_seed_edited(self, text: str) -> None:
        if text and problem("seed", int(text)) is None:
            self._store.change(seed=int(text))

    def _on_disclosed(self, opened: bool) -> None:
        self._advanced.setVisible(opened)
        self._disclosure.setText("Advanced  −" if opened else "Advanced  +")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        if self._font.count() <= 1:
            self._font.clear()
            for family in QFontDatabase.families():
                if not QFontDatabase.isPrivateFamily(family) and QFontDatabase.isSmoothlyScalable(family):
                    self._font.addItem(family, family)
            self._show(self._store.current)
        super().showEvent(event)


def _select(combo: QComboBox, value: object, otherwise: str = "") -> None:
    """A value that is not among the choices is added as what it is, never replaced. otherwise: its text."""
    index = combo.findData(value)
    if index < 0:
        combo.addItem(otherwise or str(value), value)
        index = combo.count() - 1
    combo.setCurrentIndex(index)


def _memory(device: Device) -> str:
    if not device.total_bytes:
        return ""
    total = f"{device.total_bytes / 2**30:.0f} GB"
    return f"{device.free_bytes / 2**30:.1f} of {total} free" if device.free_bytes else total


def _about(words: float) -> int:
    """Rounded to what a reader takes in."""
    unit = 50 if words < 1000 else 500
    return max(unit, round(words / unit) * unit)
