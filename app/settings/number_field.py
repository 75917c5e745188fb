"""A field for a number."""

from __future__ import annotations

import re
import unicodedata

from PySide6.QtCore import QLocale, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit

from app.settings.schema import label, limits
from app.widgets.panel import text_label

_STEPS = {Qt.Key.Key_Up: 0.05, Qt.Key.Key_Down: -0.05}
_SHORTEST = QLocale.FloatingPointPrecisionOption.FloatingPointShortest.value
_ARABIC = str.maketrans("٫٬", ".,")
_GROUP = re.compile(r"(?<=\d)[\s'’](?=\d{3}(?!\d))")
"""What separates thousands and can be nothing else."""


def number_in(text: str, *, whole: bool) -> float | None:
    """As the writer's locale writes numbers, else as English does, in any script's digits."""
    locales = [QLocale.c()] if set(text) & {"٫", "٬"} else [QLocale(), QLocale.c()]
    shown = (char for char in text.translate(_ARABIC) if unicodedata.category(char) != "Cf")
    plain = _GROUP.sub("", "".join(str(unicodedata.decimal(char, char)) for char in shown)).strip()
    for locale in locales:
        head, separator, _ = plain.partition(locale.groupSeparator())
        if separator and not head.strip("+-−0"):
            continue  # Qt takes 0.055 for 55 where a dot separates thousands
        number, is_one = locale.toDouble(plain)
        if is_one and whole:
            number, is_one = locale.toLongLong(plain)
            return number if is_one else None
        if is_one:
            return number
    return None


class NumberField(QLineEdit):
    """What is written holds by Enter, or once the field is left. What cannot be read stays, with a sentence
    about it, and the old number holds.
    """

    written = Signal(object)
    """Another number; None: the model's own."""

    def __init__(self, name: str) -> None:
        """name: of the setting."""
        super().__init__()
        self._low, self._high = limits(name)
        self._whole = isinstance(self._low, int)
        self._own: float | None = None
        self._may_be_empty = False
        self._value: float | None = None
        self.problem = text_label("Problem")
        """For the row below."""
        self.problem.hide()
        self.setAccessibleName(label(name))
        self.editingFinished.connect(self._on_finished)

    def let_be_empty(self, own: float | None) -> None:
        """Then the model's own number holds, which is shown in grey once it is known."""
        self._own, self._may_be_empty = own, True
        self.setPlaceholderText("own" if own is None else _text(own))

    def show_value(self, value: float | None) -> None:
        """A text that is being written, or cannot be read, stays until there is another value."""
        if value != self._value:
            self._show(value)

    def restore(self) -> None:
        """The number that holds, in place of what is written."""
        self._show(self._value)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step, shown = _STEPS.get(Qt.Key(event.key())), self._own if self._value is None else self._value
        if step is None or self._whole:
            super().keyPressEvent(event)
        else:
            value = round(self._low if shown is None else shown + step, 2)
            self.setText(_text(min(self._high, max(self._low, value))))
            self._on_finished()

    def _on_finished(self) -> None:
        old, number = self._value, number_in(self.text(), whole=self._whole)
        own = self._may_be_empty and not self.text().strip()
        if own or (number is not None and self._low <= number <= self._high):
            self._show(number)
            if number != old:
                self.written.emit(number)
            return
        kind, until = "whole number" if self._whole else "number", _text(old) or "the model’s own"
        self._tell(
            f"Write a {kind} from {_text(self._low)} to {_text(self._high)}. Until then {until} holds."
        )

    def _show(self, value: float | None) -> None:
        self._value = value
        self.setText(_text(value))
        self._tell("")

    def _tell(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.setAccessibleDescription(problem)
        self.setProperty("unread", bool(problem))
        self.style().polish(self)


def _text(value: float | None) -> str:
    """As the writer's locale writes it; empty for None."""
    if value is None:
        return ""
    locale = QLocale()
    locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
    whole = isinstance(value, int)
    return locale.toString(value) if whole else locale.toString(value, "f", _SHORTEST)
