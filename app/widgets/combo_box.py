"""A combo box that acts once its choice has settled."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QComboBox, QStyledItemDelegate, QStyleOptionComboBox

from app.widgets.panel import SHORT_TEXT
from app.widgets.timers import timer

SETTLE_MS = 500
_COMBO_FRAME = 44


class ComboBox(QComboBox):
    """Takes the width it gets: the box shows the short text, ending in an ellipsis, the list all of it."""

    settled = Signal()
    """Some time after the last choice; each key on the closed box makes one."""

    def __init__(self) -> None:
        super().__init__()
        self._unsettled = False
        self._settling = timer(self, self.settle, SETTLE_MS, single_shot=True)
        self.activated.connect(self._on_activated)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        # The delegate of QComboBox's own takes no notice of the stylesheet.
        self.setItemDelegate(QStyledItemDelegate(self))

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:
        super().initStyleOption(option)
        room = self.width() - _COMBO_FRAME
        text = self.currentData(SHORT_TEXT) or self.currentText()
        option.currentText = self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room)

    def show_choices(self, choices: Mapping[object, str], chosen: object) -> None:
        """choices: what is chosen → how it is called. An open list stays open, and so does a choice that has
        not settled.
        """
        made = self.currentData() if self._unsettled else chosen
        if [self.itemData(index) for index in range(self.count())] != list(choices):
            self.clear()
            for value in choices:
                self.addItem("", value)
        for index, text in enumerate(choices.values()):
            self.setItemText(index, text)
        self.setCurrentIndex(self.findData(made if made in choices else chosen))

    def _on_activated(self) -> None:
        self._unsettled = True
        self._settling.start()

    def settle(self) -> None:
        """At once."""
        if self._unsettled:
            self._unsettled = False
            self._settling.stop()
            self.settled.emit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.settle()
        super().focusOutEvent(event)

    def showPopup(self) -> None:
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + _COMBO_FRAME)
        super().showPopup()
