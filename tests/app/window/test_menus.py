"""The page's own menu, full screen, what stays out of the way of typing, and a later start's file."""

from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QInputMethodEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu, QMessageBox
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.editor.page import Page
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import TEXT, put_caret
from tests.app.window.conftest import settle
from tests.fakes import TEXT as DRAFT

KEY = Qt.Key
pytestmark = pytest.mark.qt_log_ignore(
    "This plugin does not support"
)  # without a display, popups and raise()


@pytest.fixture
def page(window: MainWindow, qtbot: QtBot) -> Page:
    set_document_text(window.view.page.document(), TEXT)
    window.activateWindow()
    qtbot.waitUntil(window.view.page.hasFocus)
    return window.view.page


def menu_of(page: Page, reason: QContextMenuEvent.Reason, place: QPoint) -> QMenu:
    target = page.viewport() if reason is QContextMenuEvent.Reason.Mouse else page
    QApplication.sendEvent(target, QContextMenuEvent(reason, place, target.mapToGlobal(place)))
    popup = QApplication.activePopupWidget()
    assert isinstance(popup, QMenu)
    return popup


def test_the_pages_menu_edits_and_drafts(window: MainWindow, page: Page, run: Run) -> None:
    put_caret(page, 10)
    menu = menu_of(page, QContextMenuEvent.Reason.Keyboard, QPoint(1, 1))
    caret = page.viewport().mapToGlobal(page.cursorRect().bottomLeft())
    assert menu.pos() == caret
    names = [action.iconText() for action in menu.actions() if not action.isSeparator()]
    assert [name for name in names if name in ("Undo", "Paste", "Select all")] == ["Paste", "Select all"]
    assert [name for name in names if name in ("Draft paragraph", "Keep", "Discard")] == ["Draft paragraph"]
    menu.close()
    run(settle(window))
    menu = menu_of(page, QContextMenuEvent.Reason.Keyboard, QPoint(1, 1))
    next(action for action in menu.actions() if action.iconText() == "Discard").trigger()
    assert window.view.drafts.current is None
    menu.close()


def test_a_click_for_the_menu_takes_the_caret_there_and_leaves_a_selection(page: Page) -> None:
    put_caret(page, 0)
    cursor = page.textCursor()
    cursor.setPosition(20)
    place = page.cursorRect(cursor).center()
    mouse = QContextMenuEvent.Reason.Mouse
    menu_of(page, mouse, place).close()
    assert page.textCursor().position() == 20
    page.selectAll()
    menu_of(page, mouse, place).close()
    assert page.textCursor().hasSelection()


def test_the_pointer_hides_from_typing_until_it_is_moved(page: Page, qtbot: QtBot) -> None:

    qtbot.keyClick(page, KEY.Key_Shift)
    assert page.viewport().cursor().shape() is Qt.CursorShape.IBeamCursor
    qtbot.keyClicks(page, "a")
    assert page.viewport().cursor().shape() is Qt.CursorShape.BlankCursor
    place, none = QPointF(50, 50), Qt.MouseButton.NoButton
    QApplication.sendEvent(
        page.viewport(),
        QMouseEvent(QEvent.Type.MouseMove, place, place, none, none, Qt.KeyboardModifier.NoModifier),
    )
    assert page.viewport().cursor().shape() is Qt.CursorShape.IBeamCursor
    QApplication.sendEvent(page, QInputMethodEvent("か", []))
    assert page.viewport().cursor().shape() is Qt.CursorShape.BlankCursor


def test_the_draft_button_stays_away_while_keys_are_pressed(
    window: MainWindow, page: Page, qtbot: QtBot
) -> None:
    put_caret(page, len(TEXT) + 1)
    qtbot.waitUntil(window.view.button.isVisible)
    qtbot.keyClicks(page, "and")
    QApplication.processEvents()
    assert window.view.button.isHidden()
    qtbot.waitUntil(window.view.button.isVisible)


def test_full_screen_and_back(window: MainWindow, page: Page, qtbot: QtBot) -> None:
    full = next(action for action in window.view_menu.actions() if action.text() == "Full screen")
    qtbot.keyClick(page, KEY.Key_F11)
    assert window.isFullScreen()
    window.view_menu.aboutToShow.emit()
    assert full.isChecked()
    window.showNormal()  # by the desktop
    window.view_menu.aboutToShow.emit()
    assert not full.isChecked()
    qtbot.keyClick(page, KEY.Key_F11)
    qtbot.keyClick(page, KEY.Key_F11)
    assert not window.isFullScreen()


def test_a_later_starts_file_comes_into_the_window_and_costs_no_text(
    window: MainWindow, file: Path, qtbot: QtBot
) -> None:
    window.showMinimized()
    window.take(file)
    assert not window.isMinimized()
    assert window.view.page.text() == TEXT
    window.view.page.insertPlainText("Mine. ")
    window.take(file)  # it is open
    assert window.view.page.text() == f"Mine. {TEXT}"
    window.take(None)
    assert window.findChild(QMessageBox) is None
    window.take(file.with_name("other.md"))
    box = window.findChild(QMessageBox)
    assert box is not None
    qtbot.mouseClick(box.button(QMessageBox.StandardButton.Cancel), Qt.MouseButton.LeftButton)
    assert window.view.page.text() == f"Mine. {TEXT}"


def test_keep_all_keeps_a_single_draft_too(window: MainWindow, run: Run) -> None:
    actions = window.view.draft_actions
    assert not actions.keep_all.isEnabled()
    run(settle(window))
    actions.keep_all.trigger()
    assert window.view.page.text() == DRAFT
    assert not actions.keep_all.isEnabled()
