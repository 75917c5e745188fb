"""The window by keys alone: where Tab and Esc lead, and keys that must not touch the text."""

import sys
from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QApplication, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.window.main_window import MainWindow
from tests.app.pages import TEXT, put_caret

KEY = Qt.Key


@pytest.fixture
def window(window: MainWindow, qtbot: QtBot) -> MainWindow:
    set_document_text(window.view.page.document(), TEXT)
    window.view.page.selectAll()
    window.activateWindow()
    qtbot.waitUntil(window.view.page.hasFocus)
    return window


def settings(window: MainWindow) -> QWidget:
    window.panel_action.trigger()
    next(b for b in window.side_panel.panel.findChildren(QPushButton) if b.text().startswith("Adv")).click()
    return window.side_panel.panel


def models(window: MainWindow) -> QWidget:
    window.side_panel.open_models()
    return window.side_panel.models_page


def find(window: MainWindow) -> QWidget:
    window.view.find_bar.open()
    return window.view.find_bar


def replace(window: MainWindow) -> QWidget:
    window.view.find_bar.open(replacing=True)
    return window.view.find_bar


@pytest.mark.parametrize("key", [KEY.Key_Tab, KEY.Key_Backtab])
@pytest.mark.parametrize("open_part", [settings, models, find, replace])
def test_tab_goes_round_in_a_panel(
    window: MainWindow, qtbot: QtBot, open_part: Callable[[MainWindow], QWidget], key: Qt.Key
) -> None:
    part = open_part(window)
    QApplication.processEvents()
    first, reached = window.focusWidget(), set()
    for _ in range(60):
        qtbot.keyClick(window.focusWidget(), key)
        assert part.isAncestorOf(window.focusWidget())
        reached.add(window.focusWidget())
    assert first in reached
    controls = [part for part in part.findChildren(QWidget) if part.isVisible() and part.isEnabled()]
    tab = Qt.FocusPolicy.TabFocus
    assert reached == {part for part in controls if part.focusPolicy() & tab and not part.focusProxy()}
    assert window.view.page.text() == TEXT


@pytest.mark.parametrize("key", [KEY.Key_Tab, KEY.Key_Backtab])
def test_tab_leads_nowhere_into_the_text_and_esc_does(window: MainWindow, qtbot: QtBot, key: Qt.Key) -> None:
    window.notice.show_message("A message.", "", ("Try again", lambda: None))
    buttons = [button for button in window.top.findChildren(QToolButton) if button.isVisible()]
    begins = [*buttons, window.notice.buttons[0]]
    assert len(begins) == 3
    for begin in begins:
        begin.setFocus()
        for _ in range(12):
            qtbot.keyClick(window.focusWidget(), key)
            assert window.focusWidget() is not window.view.page
        qtbot.keyClick(window.focusWidget(), KEY.Key_Escape)
        assert window.focusWidget() is window.view.page
    assert window.view.page.text() == TEXT


def test_the_keys_go_back_to_the_text_when_the_settings_are_closed(window: MainWindow) -> None:
    for _ in range(2):
        window.panel_action.trigger()
        window.panel_action.trigger()
        assert window.focusWidget() is window.view.page


class EmacsKey(QKeyEvent):
    """A letter with Control, which Qt takes for Delete on X11 alone."""

    def __init__(self, letter: Qt.Key, meaning: QKeySequence.StandardKey) -> None:
        super().__init__(QEvent.Type.KeyPress, KEY.Key_Delete, Qt.KeyboardModifier.NoModifier)
        self._letter, self._meaning = letter, meaning

    def key(self) -> Qt.Key:
        return self._letter

    def matches(self, key: QKeySequence.StandardKey) -> bool:
        return key is self._meaning


@pytest.mark.parametrize(
    ("letter", "meaning"),
    [
        (KEY.Key_K, QKeySequence.StandardKey.DeleteEndOfLine),
        (KEY.Key_U, QKeySequence.StandardKey.DeleteCompleteLine),
        (KEY.Key_D, QKeySequence.StandardKey.Delete),
        (KEY.Key_H, QKeySequence.StandardKey.Backspace),
    ],
)
def test_a_letter_with_control_deletes_nothing(
    window: MainWindow, letter: Qt.Key, meaning: QKeySequence.StandardKey
) -> None:
    put_caret(window.view.page, 10)
    window.view.page.keyPressEvent(EmacsKey(letter, meaning))
    assert window.view.page.text() == TEXT


def test_delete_and_backspace_delete(window: MainWindow, qtbot: QtBot) -> None:
    put_caret(window.view.page, 10)
    qtbot.keyClick(window.view.page, KEY.Key_Delete)
    qtbot.keyClick(window.view.page, KEY.Key_Backspace)
    assert window.view.page.text() == TEXT[:9] + TEXT[11:]


@pytest.mark.skipif(sys.platform == "darwin", reason="there Alt writes characters")
@pytest.mark.parametrize(("key", "text"), [(KEY.Key_Eacute, "é"), (KEY.Key_2, "2"), (KEY.Key_Space, " ")])
def test_a_key_with_alt_writes_nothing_over_a_selection(window: MainWindow, key: Qt.Key, text: str) -> None:
    page = window.view.page
    page.setPlainText("The ferry was late.")
    page.selectAll()
    event = QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.AltModifier, text)
    page.keyPressEvent(event)
    assert page.text() == "The ferry was late."
    assert not event.isAccepted()
