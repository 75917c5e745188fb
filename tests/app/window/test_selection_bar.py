"""The bar beside a selection that rests."""

import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import TEXT


def select(window: MainWindow, start: int, end: int) -> None:
    cursor = QTextCursor(window.view.page.document())
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    window.view.page.setTextCursor(cursor)


def rested(window: MainWindow) -> bool:
    """The selection has rested → whether the bar is there."""
    bar = window.view.selection_bar
    if bar.rest.isActive():
        bar.rest.stop()
        bar.rest.timeout.emit()
    return bar.isVisible()


@pytest.fixture
def window(window: MainWindow, qtbot: QtBot) -> MainWindow:
    set_document_text(window.view.page.document(), TEXT)
    window.activateWindow()
    window.view.page.setFocus()
    qtbot.waitUntil(window.view.page.hasFocus)
    return window


@pytest.mark.parametrize(("start", "end"), [(0, 3), (4, 190), (0, 1000), (-6, 1000)])
@pytest.mark.parametrize("text", [TEXT, "שלום עולם. " * 30])
def test_it_stands_beside_what_is_selected(window: MainWindow, start: int, end: int, text: str) -> None:
    set_document_text(window.view.page.document(), text)
    page, bar = window.view.page, window.view.selection_bar
    last = page.document().characterCount() - 1
    select(window, start if start >= 0 else last + start, min(end, last))
    assert not bar.isVisible()
    assert rested(window)
    cursor = page.textCursor()
    lines = page.text_rects((cursor.selectionStart(), cursor.selectionEnd()))
    assert page.viewport().rect().contains(bar.geometry())
    assert not any(line.intersects(QRectF(bar.geometry())) for line in lines)


def test_it_is_not_there_where_there_is_no_room_beside(window: MainWindow) -> None:
    set_document_text(window.view.page.document(), TEXT * 20)
    select(window, 0, 20 * len(TEXT))
    assert not rested(window)


@pytest.mark.parametrize("text", ["\n\n", " \t", "🦊🌊", "…"])
def test_there_is_none_for_what_is_no_passage(window: MainWindow, text: str) -> None:
    set_document_text(window.view.page.document(), text)
    window.view.page.selectAll()
    assert not rested(window)


def test_typing_and_a_selection_that_is_gone_end_it(window: MainWindow) -> None:
    page = window.view.page
    select(window, 0, 3)
    assert rested(window)
    QTest.keyClick(page, Qt.Key.Key_Right)
    assert not rested(window)
    select(window, 4, 9)
    assert rested(window)
    QTest.keyClick(page, Qt.Key.Key_A)
    assert not rested(window)


def test_it_waits_while_the_mouse_selects(window: MainWindow) -> None:
    viewport, bar = window.view.page.viewport(), window.view.selection_bar
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=QPoint(20, 20))
    QTest.mouseMove(viewport, QPoint(200, 20))
    select(window, 0, 9)
    bar.rest.timeout.emit()
    assert not bar.isVisible()
    assert bar.rest.isActive()
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=QPoint(200, 20))
    select(window, 0, 9)
    assert rested(window)


def test_what_is_found_is_not_the_writers_selection(window: MainWindow, qtbot: QtBot) -> None:
    select(window, 0, 9)
    assert rested(window)
    window.view.find_bar.open()
    qtbot.waitUntil(lambda: not window.view.page.hasFocus())
    assert not window.view.selection_bar.isVisible()
    window.view.find_bar.find_next()
    assert not rested(window)


def test_a_verb_is_a_click_away(window: MainWindow, run: Run) -> None:
    view = window.view
    select(window, 0, 26)
    assert rested(window)
    names = [action.text() for action in view.draft_actions.of_selection]
    buttons = [widget for widget in view.selection_bar.children() if widget.isWidgetType()]
    assert [button.property("text") for button in buttons] == names

    async def scenario() -> None:
        QTest.mouseClick(buttons[2], Qt.MouseButton.LeftButton)  # type: ignore[call-overload]
        assert view.drafts.current is not None
        assert view.drafts.current.verb.label == names[2]
        assert not rested(window)
        view.drafts.discard_all()

    run(scenario())


def test_the_verbs_have_keys_and_stand_in_the_menus(window: MainWindow) -> None:
    actions = window.view.draft_actions.of_selection
    assert [action.shortcut().toString() for action in actions] == [
        f"Ctrl+Shift+{letter}" for letter in "ORWTX"
    ]
    for action in actions:
        assert action in window.draft_menu.actions()
        assert action in window.view.page.actions()
