"""The mirror and the proxy of a set-up, folded away until they are asked for."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.settings.schema import label
from app.settings.store import SettingsStore
from app.widgets.panel import filled, named

_HINTS = {
    "engine_mirror": "In place of files.pythonhosted.org",
    "engine_proxy": "http://name:password@host:8080",
}


class NetworkFields(QWidget):
    written = Signal()
    """One of them is another one."""

    def __init__(self, store: SettingsStore) -> None:
        super().__init__()
        self._store = store
        self.disclosure = named(QPushButton("Network  +"), "Network")
        self.disclosure.setCheckable(True)
        self.disclosure.setProperty("link", True)
        self.disclosure.toggled.connect(self._on_disclosed)
        self.fields = {name: named(QLineEdit(getattr(store.current, name)), label(name)) for name in _HINTS}
        rows = filled(QVBoxLayout(self), spacing=6)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.disclosure, 0, Qt.AlignmentFlag.AlignLeft)
        self._folded = QWidget()
        self._folded.hide()
        rows.addWidget(self._folded)
        inner = filled(QVBoxLayout(self._folded), spacing=6)
        inner.setContentsMargins(0, 0, 0, 0)
        for name, field in self.fields.items():
            field.setPlaceholderText(_HINTS[name])
            field.editingFinished.connect(partial(self._on_written, name))
            caption = QLabel(label(name))
            caption.setProperty("quiet", True)
            caption.setBuddy(field)
            filled(inner, caption, field)

    def _on_written(self, name: str) -> None:
        self._store.change(**{name: self.fields[name].text().strip()})
        self.written.emit()

    def _on_disclosed(self, opened: bool) -> None:
        self._folded.setVisible(opened)
        self.disclosure.setText("Network  −" if opened else "Network  +")
