"""On a keyboard without Latin letters, keys with Control or Alt do what those at their place do on others."""

import sys

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.widgets.latin_keys import latin_key
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import TEXT
from tests.app.window.conftest import settle

CTRL, SHIFT, ALT = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)
NONE = Qt.KeyboardModifier.NoModifier
# Where the letters of a US keyboard are under X11 and Wayland.
ROWS = {"qwertyuiop": 24, "asdfghjkl": 38, "zxcvbnm": 52}
PLACES = {letter: first + n for row, first in ROWS.items() for n, letter in enumerate(row)}
RUSSIAN = dict(zip(PLACES, "йцукенгшщзфывапролдячсмить", strict=True))
GREEK = dict(zip(PLACES, ";ςερτυθιοπασδφγηξκλζχψωβνμ", strict=True))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system tells the Latin letter")


def stroke(letter: str, modifiers: Qt.KeyboardModifier, own: dict[str, str] = RUSSIAN) -> QKeyEvent:
    """As Qt tells it where no Latin layout is set up beside."""
    written = own[letter]
    return QKeyEvent(QEvent.Type.KeyPress, ord(written.upper()), modifiers, PLACES[letter], 0, 0, written)


def press(
    window: MainWindow, letter: str, modifiers: Qt.KeyboardModifier, own: dict[str, str] = RUSSIAN
) -> None:
    focus = window.focusWidget()
    assert focus is not None
    QApplication.sendEvent(focus, stroke(letter, modifiers, own))


@pytest.fixture
def window(window: MainWindow, qtbot: QtBot) -> MainWindow:
    set_document_text(window.view.page.document(), TEXT)
    window.activateWindow()
    qtbot.waitUntil(window.view.page.hasFocus)
    return window


@pytest.mark.parametrize("own", [RUSSIAN, GREEK])
def test_every_letter_has_its_place(own: dict[str, str]) -> None:
    letters = [letter for letter in PLACES if own[letter].isalpha()]
    keys = [latin_key(stroke(letter, CTRL, own)) for letter in letters]
    assert keys == [Qt.Key[f"Key_{letter.upper()}"] for letter in letters]


@pytest.mark.parametrize(
    "event",
    [
        stroke("a", NONE),
        stroke("a", SHIFT),
        QKeyEvent(QEvent.Type.KeyPress, ord("Z"), CTRL, PLACES["y"], 0, 0, "z"),  # German
        QKeyEvent(QEvent.Type.KeyPress, ord("Ğ"), CTRL, PLACES["p"], 0, 0, "ğ"),  # Turkish
        QKeyEvent(QEvent.Type.KeyPress, ord("?"), CTRL | SHIFT, PLACES["m"], 0, 0, "?"),  # French
        QKeyEvent(QEvent.Type.KeyPress, ord("'"), CTRL, PLACES["q"], 0, 0, "'"),  # Dvorak
        QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Return, CTRL, 36, 0, 0, "\r"),
        QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Return, CTRL, PLACES["a"], 0, 0, "\r"),
    ],
)
def test_what_is_written_or_latin_is_left_alone(event: QKeyEvent) -> None:
    assert latin_key(event) is None


@pytest.mark.parametrize("own", [RUSSIAN, GREEK])
def test_the_page_is_edited_by_keys(window: MainWindow, own: dict[str, str]) -> None:
    page = window.view.page
    press(window, "a", CTRL, own)
    press(window, "c", CTRL, own)
    assert QGuiApplication.clipboard().text() == TEXT
    press(window, "x", CTRL, own)
    assert page.text() == ""
    press(window, "z", CTRL, own)
    assert page.text() == TEXT
    press(window, "z", CTRL | SHIFT, own)
    assert page.text() == ""
    press(window, "v", CTRL, own)
    assert page.text() == TEXT


def test_a_field_is_edited_by_keys_and_the_page_is_not(window: MainWindow) -> None:
    press(window, "f", CTRL)
    field = window.focusWidget()
    assert isinstance(field, QLineEdit)
    assert window.view.find_bar.isVisible()
    field.setText("ferry")
    press(window, "a", CTRL)
    press(window, "x", CTRL)
    assert (field.text(), QGuiApplication.clipboard().text()) == ("", "ferry")
    assert window.view.page.text() == TEXT


def test_a_draft_is_asked_for_picked_and_retried_by_keys(window: MainWindow, run: Run) -> None:
    run(settle(window))
    draft = window.view.drafts.current
    assert draft is not None
    press(window, "p", CTRL | SHIFT)
    assert draft.words is not None
    picked = draft.words.selected_text
    assert picked
    press(window, "c", CTRL)
    assert QGuiApplication.clipboard().text() == picked
    press(window, "k", CTRL | SHIFT)
    assert window.view.drafts.current is None
    assert window.view.page.text() != TEXT


def test_a_key_of_no_use_does_nothing(window: MainWindow) -> None:
    press(window, "q", CTRL | SHIFT)
    press(window, "r", CTRL)  # there is no draft
    assert window.view.page.text() == TEXT


@pytest.mark.qt_log_ignore("This plugin does not support")  # without a display, popups
def test_a_menu_is_opened_by_its_letter(window: MainWindow) -> None:
    press(window, "d", ALT)
    assert QApplication.activePopupWidget() is window.draft_menu
    window.draft_menu.close()
    press(window, "q", ALT)
    assert QApplication.activePopupWidget() is None
