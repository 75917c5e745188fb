"""The dialogs that list what Mezzotint keeps, with sizes, and remove what of it is chosen."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QCoreApplication, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.support.log_file import stop_logging
from app.support.own_data import DataPart, busy, is_there, remove, size_bytes
from app.widgets.panel import heading, text_label
from app.widgets.question import question
from app.worker.background import BackgroundCall
from engine.checkpoints.units import disk_text

_WIDTH_PX = 480
_MARGIN_PX = 24
_AT_ONCE_S = 0.3
_MOST_PROBLEMS = 5
_STAY = "Your documents stay where they are."
_STAYS = (
    "What is ticked is deleted from this computer. Your documents stay; so do models in folders that you "
    "added yourself."
)
_COUNTED = "counting …"


class RemovalDialog(QDialog):
    chosen = Signal(list)
    """The DataParts to be removed; the dialog has gone by then."""

    def __init__(self, parts: list[DataPart], act: str, window: QWidget | None) -> None:
        """act: what the button says."""
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Remove Mezzotint’s data")
        self.boxes = {part.label: _box(part) for part in parts}
        self.sizes = {part.label: QLabel(_COUNTED) for part in parts}
        self._parts = parts
        self._counted: dict[str, int] = {}
        self._total = text_label("What comes free")
        self.remove_button = QPushButton(act, autoDefault=False)
        self.remove_button.clicked.connect(self._on_remove)
        self._build()
        for box in self.boxes.values():
            box.toggled.connect(self._show_total)
        self.call = BackgroundCall("count sizes", self)
        self.call.returned.connect(self._on_counted)
        self.call.start(partial(_count, parts))
        self._show_total()

    def _build(self) -> None:
        told = text_label("What stays", quiet=True)
        told.setText(_STAYS)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        rows.addWidget(heading("Remove Mezzotint’s data"))
        rows.addWidget(told)
        rows.addSpacing(_MARGIN_PX // 2)
        rows.addLayout(self._grid(writers=False))
        rows.addSpacing(_MARGIN_PX // 2)
        own = text_label("Your own work", quiet=True)
        own.setText("Your own work goes only if you tick it:")
        rows.addWidget(own)
        rows.addLayout(self._grid(writers=True))
        rows.addSpacing(_MARGIN_PX // 2)
        rows.addWidget(self._total)
        cancel = QPushButton("Cancel")
        cancel.setProperty("primary", True)
        cancel.setDefault(True)
        cancel.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addWidget(self.remove_button)
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        rows.addLayout(buttons)
        self.setFixedWidth(_WIDTH_PX)

    def _grid(self, *, writers: bool) -> QGridLayout:
        grid = QGridLayout()
        grid.setColumnStretch(0, 1)
        for row, part in enumerate(part for part in self._parts if part.is_writers is writers):
            size = self.sizes[part.label]
            size.setProperty("quiet", True)
            grid.addWidget(self.boxes[part.label], row, 0)
            grid.addWidget(size, row, 1, Qt.AlignmentFlag.AlignRight)
        return grid

    def selected(self) -> list[DataPart]:
        return [part for part in self._parts if self.boxes[part.label].isChecked()]

    def _on_counted(self, found: dict[str, tuple[bool, int]]) -> None:
        for label, (there, size) in found.items():
            told = size_text(size) if there else "none"
            self.sizes[label].setText(told)
            self.boxes[label].setAccessibleDescription(told)
            if not there:
                self.boxes[label].setChecked(False)
                self.boxes[label].setEnabled(False)
            self._counted[label] = size
        self._show_total()

    def _show_total(self) -> None:
        selected = self.selected()
        self.remove_button.setEnabled(bool(selected))
        size = sum(self._counted.get(part.label, 0) for part in selected)
        if not self._counted:
            self._total.setText(_COUNTED)
        elif not selected:
            self._total.setText("Nothing is removed.")
        else:
            self._total.setText(f"{_capital(size_text(size))} will be free again.")

    def _on_remove(self) -> None:
        selected = self.selected()
        self.accept()
        self.chosen.emit(selected)


def _box(part: DataPart) -> QCheckBox:
    box = QCheckBox(part.label)
    box.setChecked(not part.is_writers)
    box.setToolTip("\n".join(sorted({str(path.parent) for path in part.paths})))
    return box


def _count(parts: list[DataPart]) -> dict[str, tuple[bool, int]]:
    return {part.label: (is_there(part), size_bytes(part)) for part in parts}


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def size_text(size: int) -> str:
    return disk_text(size) if size >= 1e6 else "less than 1 MB"


def refusal(reason: str, window: QWidget | None) -> QMessageBox:
    return question("Mezzotint’s data cannot be removed now.", reason, window)


def remove_and_tell(parts: list[DataPart]) -> None:
    """No window of this run is open any more. Returns once it is done and the writer has seen it."""
    if reason := busy():
        refusal(reason, None).exec()
        return
    stop_logging()
    app = QCoreApplication.instance()
    assert app is not None
    ended: list[list[str]] = []
    call = BackgroundCall("remove data", app)
    call.start(lambda: ended.append(remove(parts)))
    call.join(_AT_ONCE_S)
    if not ended:
        _wait_for(call)
    told = "Not all of it could be removed." if ended[0] else "What you chose is removed."
    question(told, "\n".join([*ended[0][:_MOST_PROBLEMS], _STAY]), None).exec()


def _wait_for(call: BackgroundCall) -> None:
    box = question("What you chose is being removed …", _STAY, None)
    box.addButton("Close", QMessageBox.ButtonRole.RejectRole).setEnabled(False)
    call.returned.connect(box.accept)
    box.exec()
    call.join(None)  # the box may be closed before
