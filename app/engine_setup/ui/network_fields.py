"""The mirrors and the proxy of a set-up, folded away until they are asked for. No password is stored."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.engine_setup.proxy import split_password, with_password
from app.settings.schema import label
from app.settings.store import SettingsStore
from app.widgets.panel import filled, named

_HINTS = {
    "engine_mirror": "In place of files.pythonhosted.org",
    "engine_python_mirror": "https://…/releases/download",
    "engine_proxy": "http://name@host:8080",
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
            filled(inner, _caption(label(name), field), field)
        self.password = named(QLineEdit(), "The proxy’s password")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.password.setPlaceholderText("Until you quit; it is not stored")
        filled(inner, _caption("The proxy’s password", self.password), self.password)
        self._on_written("engine_proxy")  # one that was stored, or written into the file by hand

    @property
    def proxy(self) -> str:
        """With its password."""
        return with_password(self._store.current.engine_proxy, self.password.text())

    def _on_written(self, name: str) -> None:
        field = self.fields[name]
        text, password = split_password(field.text().strip())
        field.setText(text)
        if password:
            self.password.setText(password)
        self._store.change(**{name: text})
        self.written.emit()

    def _on_disclosed(self, opened: bool) -> None:
        self._folded.setVisible(opened)
        self.disclosure.setText("Network  −" if opened else "Network  +")


def _caption(text: str, field: QLineEdit) -> QLabel:
    caption = QLabel(text)
    caption.setProperty("quiet", True)
    caption.setBuddy(field)
    return caption
