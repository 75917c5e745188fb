"""Controls of settings: each shows its setting's value, and a change of it holds at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from app.settings.number_field import NumberField
from app.settings.schema import Settings, explanation, label, limits
from app.settings.store import SettingsStore
from app.widgets.combo_box import ComboBox
from app.widgets.panel import named, tame


class Fields:
    """Makes controls, by the names of their settings, in rows below each other."""

    def __init__(self, store: SettingsStore, rows: QVBoxLayout) -> None:
        self._store = store
        self.rows = rows
        """Where the next control comes."""
        self._shows: list[Callable[[Settings], object]] = []

    def show(self, settings: Settings) -> None:
        for show in self._shows:
            show(settings)

    def caption(self, name: str, buddy: QWidget) -> QLabel:
        caption = QLabel(label(name))
        caption.setProperty("quiet", True)
        caption.setBuddy(buddy)
        buddy.setToolTip(explanation(name))
        tame(buddy)
        return caption

    def row(self, name: str, control: QWidget, beside: QWidget | None = None) -> QLabel:
        """The caption, and the control below it."""
        caption = self.caption(name, control)
        row = QHBoxLayout()
        row.addWidget(control, 3)
        if beside:
            row.addWidget(beside, 2)
        self.rows.addSpacing(8)
        self.rows.addWidget(caption)
        self.rows.addLayout(row)
        return caption

    def combo(
        self,
        name: str,
        choices: Callable[[Any], dict[object, str]],
        shown: Callable[[Any], object] = lambda value: value,
        *,
        late: bool = False,
        beside: QWidget | None = None,
    ) -> ComboBox:
        """choices: of a value, each with its text. shown: the choice that stands for the value, itself if not
        given. late: changes once the choice has settled.
        """
        combo = named(ComboBox(), label(name))
        made = combo.settled if late else combo.activated
        made.connect(lambda: self._store.change(**{name: combo.currentData()}))

        def show(settings: Settings) -> None:
            value = getattr(settings, name)
            combo.show_choices(choices(value), shown(value))

        self._shows.append(show)
        self.row(name, combo, beside)
        return combo

    def check(self, name: str) -> None:
        box = QCheckBox(label(name))
        box.setToolTip(explanation(name))
        box.toggled.connect(lambda on: self._store.change(**{name: on}))
        self._shows.append(lambda settings: box.setChecked(getattr(settings, name)))
        self.rows.addWidget(box)

    def slider(
        self,
        name: str,
        text: Callable[[Any], str],
        values: Sequence[int] = (),
        own: Callable[[], int] | None = None,
    ) -> None:
        """text: of a value. values: that can be chosen, if not all within the limits. own: shown for None."""
        low, high = (0, len(values) - 1) if values else map(int, limits(name))
        slider = named(QSlider(Qt.Orientation.Horizontal), label(name))
        slider.setRange(low, high)
        slider.setPageStep(max(1, (high - low) // 8))
        slider.valueChanged.connect(lambda at: self._store.change(**{name: values[at] if values else at}))
        caption = self.row(name, slider)

        def show(settings: Settings) -> None:
            value = getattr(settings, name)
            at = own() if value is None and own else value
            if values:
                at = min(range(len(values)), key=lambda index: abs(values[index] - value))
            caption.setText(f"{label(name)}: {text(value)}")
            slider.setAccessibleDescription(text(value))
            with QSignalBlocker(slider):  # what is shown may be the nearest one
                slider.setValue(at)

        self._shows.append(show)

    def number_field(self, name: str) -> NumberField:
        field = NumberField(name)
        field.written.connect(lambda value: self._store.change(**{name: value}))
        self._shows.append(lambda settings: field.show_value(getattr(settings, name)))
        field.setToolTip(explanation(name))
        return field

    def number(self, name: str, own: Callable[[], float | None]) -> NumberField:
        """own: the model's."""
        field = self.number_field(name)
        field.setAlignment(Qt.AlignmentFlag.AlignCenter)
        field.setFixedWidth(72)
        row = QHBoxLayout()
        row.addWidget(self.caption(name, field), 1)
        row.addWidget(field)
        self.rows.addLayout(row)
        self.rows.addWidget(field.problem)
        self._shows.append(lambda _: field.let_be_empty(own()))
        return field
