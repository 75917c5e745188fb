from __future__ import annotations

import logging
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QFont, QFontInfo, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QComboBox, QDialogButtonBox, QLineEdit, QProxyStyle, QStyle
from pytestqt.qtbot import QtBot

from app.widgets import resources, theme
from app.widgets.theme import DARK, LIGHT, SEPIA, THEMES, Theme, theme_named

ALL = pytest.mark.parametrize("colours", THEMES.values(), ids=list(THEMES))


def luminance(colour: str) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    c = QColor(colour)
    return 0.2126 * linear(c.redF()) + 0.7152 * linear(c.greenF()) + 0.0722 * linear(c.blueF())


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@ALL
@pytest.mark.parametrize("ground", ["paper", "panel"])
@pytest.mark.parametrize("text", ["ink", "secondary", "accent"])
def test_text_can_be_read(colours: Theme, ground: str, text: str) -> None:
    assert contrast(getattr(colours, text), getattr(colours, ground)) >= 4.5


@ALL
def test_selected_and_filled_text_can_be_read(colours: Theme) -> None:
    assert contrast(colours.ink, colours.selection) >= 4.5
    assert contrast(colours.paper, colours.accent) >= 4.5


@ALL
@pytest.mark.parametrize("ground", ["paper", "panel"])
def test_fields_and_what_is_selected_stand_out_from_their_ground(colours: Theme, ground: str) -> None:
    selected = theme.palette(colours).color(QPalette.ColorRole.Highlight).name()
    text = theme.palette(colours).color(QPalette.ColorRole.HighlightedText).name()
    assert contrast(theme.field_border(colours), getattr(colours, ground)) >= 3
    assert contrast(selected, getattr(colours, ground)) >= 3
    assert contrast(text, selected) >= 4.5


@ALL
def test_each_field_has_that_border(colours: Theme, qtbot: QtBot, qapp: QApplication) -> None:
    for field in (QLineEdit(), QComboBox()):
        qtbot.addWidget(field)
        field.setStyleSheet(theme.stylesheet(colours))
        field.resize(80, 30)
        assert field.grab().toImage().pixelColor(40, 0) == QColor(theme.field_border(colours))


def test_system_follows_the_system() -> None:
    assert theme_named("system", system_dark=False) is LIGHT
    assert theme_named("system", system_dark=True) is DARK
    assert theme_named("sepia", system_dark=True) is SEPIA


@ALL
def test_the_stylesheet_is_complete(colours: Theme, qapp: QApplication) -> None:
    sheet = theme.stylesheet(colours)
    assert "$" not in sheet
    for line in sheet.splitlines():
        if "url(" in line:
            path = line.split('url("')[1].split('"')[0]
            assert not QIcon(path).pixmap(12, 12).isNull()
    assert theme.palette(colours).color(QPalette.ColorRole.Window) == QColor(colours.paper)


def test_motion_is_the_writers_choice(monkeypatch: pytest.MonkeyPatch, qapp: QApplication) -> None:
    assert not theme.reduces_motion("off")
    assert theme.reduces_motion("on")
    assert not theme.reduces_motion("system")
    monkeypatch.setattr(theme, "_system_reduces_motion", lambda: True)
    assert theme.reduces_motion("system")
    assert not theme.reduces_motion("off")


class WithIcons(QProxyStyle):
    """As desktops have it that put icons into buttons."""

    def styleHint(self, hint: QStyle.StyleHint, *_rest: object) -> int:
        return int(hint is QStyle.StyleHint.SH_DialogButtonBox_ButtonsHaveIcons)


@pytest.mark.parametrize("sheet", ["", theme.stylesheet(LIGHT)])
def test_the_buttons_of_dialogs_have_no_icons(qtbot: QtBot, sheet: str) -> None:
    box, style = QDialogButtonBox(), WithIcons("fusion")
    qtbot.addWidget(box)
    box.setStyle(style)
    box.setStyleSheet(sheet)
    button = box.addButton(QDialogButtonBox.StandardButton.Save)
    assert button.icon().isNull() is bool(sheet)


def test_what_a_field_asks_for_can_be_read(qtbot: QtBot, qapp: QApplication) -> None:
    field = QLineEdit(placeholderText="Access token")
    qtbot.addWidget(field)
    field.setStyleSheet(theme.stylesheet(LIGHT))
    field.ensurePolished()
    assert field.palette().placeholderText().color() == QColor(LIGHT.secondary)


def test_the_bundled_faces_are_used(qapp: QApplication) -> None:
    resources.load_fonts()
    assert QFontInfo(theme.ui_font()).family() == "Inter"
    assert QFontInfo(theme.ui_font()).pixelSize() >= 13
    assert QFontInfo(theme.prose_font("Vollkorn", 20)).family() == "Vollkorn"


def test_prose_without_its_face_is_still_a_serif(qapp: QApplication) -> None:
    font = theme.prose_font("No Such Face", 24)
    assert font.pixelSize() == 24
    assert len(font.families()) > 2
    assert font.styleHint() is QFont.StyleHint.Serif


def test_a_broken_font_is_logged(
    qapp: QApplication, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    with caplog.at_level(logging.WARNING):
        resources.load_fonts(tmp_path)
    assert "broken.ttf" in caplog.text
    caplog.clear()
