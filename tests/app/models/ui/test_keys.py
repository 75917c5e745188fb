"""Keys on the page of models, and where they go when a row goes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QMessageBox,
    QPushButton,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.models.download_job import DownloadState
from app.models.ui.model_row import ModelRow
from engine.checkpoints.catalogue import GEMMA_26B, models_folder
from engine.protocol.errors import Fault
from tests.app.models.desk import (
    Desk,
    add,
    install,
    scan,
)


def press(key: Qt.Key, focused: QWidget | None = None) -> QWidget:
    """What has the focus afterwards."""
    if focused:
        focused.setFocus()
    widget = QApplication.focusWidget()
    assert widget is not None
    QTest.keyClick(widget, key)
    after = QApplication.focusWidget()
    assert after is not None
    return after


def test_tab_goes_down_the_page(desk: Desk, tmp_path: Path) -> None:
    add(desk.page, install(tmp_path / "mine"))
    desk.page.hub.click()
    QApplication.processEvents()  # new rows show themselves
    desk.page.back_link.setFocus()
    heights = []
    while (focused := press(Qt.Key.Key_Tab)) is not desk.page.form.fetch:
        heights.append(focused.mapTo(desk.page, focused.rect().bottomLeft()).y() // 10)
    assert len(heights) == 14
    assert heights == sorted(heights)


def test_a_link_in_a_text_is_one_stop_and_shows_that_it_has_the_keys(desk: Desk) -> None:
    item = desk.begin()
    item.fail(Fault("access", "Open https://a.example/x, then https://b.example/y."))
    QApplication.processEvents()
    row = desk.gemma
    both = ["https://a.example/x", "https://b.example/y"]
    for key, first, links, last in (
        (Qt.Key.Key_Tab, row.precision, both, row.token),
        (Qt.Key.Key_Backtab, row.token, both[::-1], row.precision),
    ):
        first.setFocus()
        for address in links:
            assert press(key) is row.fault
            assert row.fault.selectedText() == address
        assert press(key) is last


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_the_next_press_never_deletes(desk: Desk, key: Qt.Key) -> None:
    QApplication.processEvents()
    row = desk.gemma
    assert press(key, row.download) is row.pause
    assert press(key, row.pause) is row.resume
    assert press(key, row.resume) is row.pause
    assert press(key, row.cancel) is row.precision


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_return_presses_every_button(desk: Desk, qtbot: QtBot, key: Qt.Key) -> None:
    QApplication.processEvents()
    press(key, desk.page.hub)
    assert desk.page.form.isVisible()
    close = next(button for button in desk.page.findChildren(QToolButton))
    for button, pressed in ((desk.page.back_link, desk.page.back), (close, desk.page.closed)):
        with qtbot.waitSignal(pressed):
            press(key, button)
    buttons = [button for button in desk.page.findChildren(QPushButton) if button.isVisible()]
    assert len(buttons) == 9
    assert all(button.autoDefault() for button in buttons)


def test_a_row_that_goes_takes_no_keys_with_it(desk: Desk) -> None:
    item = desk.downloads.download("owner/model", probe=True)
    row = desk.page.models.rows[item.folder]
    QApplication.processEvents()
    assert press(Qt.Key.Key_Space, row.cancel) is desk.page.add
    assert row.isHidden()


def ask_to_remove(row: ModelRow, qtbot: QtBot) -> QMessageBox:
    """The question, which has the keys."""
    row.remove.setFocus()
    row.remove.click()
    box = row.window().findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    qtbot.waitUntil(box.isActiveWindow)
    return box


def focus_after(box: QMessageBox, desk: Desk, qtbot: QtBot) -> QWidget | None:
    """What has the keys when the question is gone."""
    assert box.isActiveWindow()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    box.reject()
    desk.page.activateWindow()
    qtbot.waitUntil(desk.page.isActiveWindow)
    return QApplication.focusWidget()


def test_a_row_that_goes_while_a_question_has_the_keys_leaves_them_on_the_page(
    desk: Desk, qtbot: QtBot
) -> None:
    folder = install(models_folder() / "mine")
    scan(desk.page)
    QApplication.processEvents()
    box = ask_to_remove(desk.page.models.rows[folder], qtbot)
    shutil.rmtree(folder)
    scan(desk.page)
    assert folder not in desk.page.models.rows
    assert focus_after(box, desk, qtbot) is desk.page.add


def test_a_button_that_goes_while_a_question_has_the_keys_leaves_them_to_a_harmless_one(
    desk: Desk, qtbot: QtBot
) -> None:
    install(GEMMA_26B.folder)
    scan(desk.page)
    QApplication.processEvents()
    box = ask_to_remove(desk.gemma, qtbot)
    shutil.rmtree(GEMMA_26B.folder)
    scan(desk.page)
    assert desk.gemma.remove.isHidden()
    assert focus_after(box, desk, qtbot) is desk.gemma.download


def test_hours_of_download_are_not_thrown_away_by_one_press(desk: Desk, qtbot: QtBot) -> None:
    item = desk.begin()
    item.enter(DownloadState.DOWNLOADING)
    item.done_bytes, item.total_bytes = 18_400_000_000, 51_700_000_000
    for answer, state in (("Keep", DownloadState.DOWNLOADING), ("Delete", DownloadState.CANCELLED)):
        desk.gemma.cancel.click()
        box = next(box for box in desk.page.findChildren(QMessageBox) if box.isVisible())
        assert box.text() == "Delete what has arrived of DiffusionGemma 26B?"
        assert box.informativeText() == "18.4\u00a0GB are deleted."
        assert box.defaultButton() is box.escapeButton()
        assert box.defaultButton().text().strip("&") == "Keep"
        with qtbot.waitSignal(box.finished):
            next(button for button in box.buttons() if button.text().strip("&") == answer).click()
        assert item.state is state
