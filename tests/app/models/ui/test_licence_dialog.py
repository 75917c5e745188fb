"""The licence, to read."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from app.models.ui.licence_dialog import show_licence


def shown(qtbot: QtBot, file: Path) -> str:
    window = QWidget()
    qtbot.addWidget(window)
    show_licence("Licence of Mine", "https://hub/mine", file, window)
    dialog = window.findChild(QDialog)
    assert dialog is not None
    text = dialog.findChild(QPlainTextEdit)
    assert text is not None
    return text.toPlainText()


def test_a_licence_is_shown_with_its_source(qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "LICENSE"
    file.write_bytes(b"Do as you like \xa7")
    assert shown(qtbot, file) == "https://hub/mine\n\nDo as you like \ufffd"


def test_a_licence_on_a_stick_that_is_gone(qtbot: QtBot, tmp_path: Path) -> None:
    text = shown(qtbot, tmp_path / "stick" / "LICENSE")
    assert "stick" in text
    assert "connected" in text


def test_a_licence_keeps_its_columns(qtbot: QtBot, tmp_path: Path) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    show_licence("Licence of Mine", "https://hub/mine", tmp_path / "LICENSE", window)
    text = window.findChild(QPlainTextEdit)
    assert text is not None
    fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
    assert text.font().family() == fixed != window.font().family()
