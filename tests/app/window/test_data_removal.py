"""From the window: asked, refused, or called off, nothing goes; the text is saved first."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox, QPushButton

from app.documents.recovery import RecoveryStore
from app.support.removal_dialog import RemovalDialog
from app.window.main_window import MainWindow


def ask(window: MainWindow) -> RemovalDialog:
    window.removal.open()
    dialog = window.findChild(RemovalDialog)
    assert dialog is not None
    dialog.call.join()
    return dialog


def box_of(window: MainWindow) -> QMessageBox:
    box = window.findChild(QMessageBox)
    assert box is not None
    return box


def test_the_window_closes_and_hands_on_what_was_chosen(window: MainWindow) -> None:
    ask(window).remove_button.click()
    assert not window.isVisible()
    assert [part.is_writers for part in window.removal.chosen].count(True) == 0
    assert window.removal.chosen


def test_who_does_not_close_the_window_keeps_the_data(window: MainWindow) -> None:
    window.view.page.insertPlainText("x")
    ask(window).remove_button.click()
    QTest.keyClick(box_of(window), Qt.Key.Key_Escape)
    assert window.isVisible()
    window.view.page.document().setModified(False)
    window.close()
    assert window.removal.chosen == []


def test_while_another_window_is_open_it_is_refused(window: MainWindow) -> None:
    other = RecoveryStore()
    window.removal.open()
    assert window.findChild(RemovalDialog) is None
    assert "Another window" in box_of(window).informativeText()
    box_of(window).findChildren(QPushButton)[0].click()
    other.close()
