"""After a crash the recovered text comes first, then a report; both for as long as the dialog is open."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton

from app.documents.recovery import RecoveryCopy
from app.support.crash_dialog import CrashDialog
from app.support.log_file import log_folder
from app.support.run_record import LostRun
from app.widgets.text_dialog import TextDialog
from app.window.main_window import MainWindow
from tests.app.window.conftest import Open

LOST = LostRun(1_795_987_338, "Fatal Python error: Segmentation fault\n")


def leave_copies(own_folders: Path, *texts: str) -> None:
    folder = own_folders / "state" / "mezzotint" / "recovery" / "a"
    folder.mkdir(parents=True)
    for text in texts:
        copy = RecoveryCopy(path=None, bom=False, digest=None, text=text)
        (folder / f"{text}.recovery").write_bytes(msgspec.json.encode(copy))


def dialog_of(window: MainWindow) -> CrashDialog:
    dialog = window.findChild(CrashDialog)
    assert dialog is not None
    return dialog


def press(dialog: CrashDialog, name: str) -> None:
    next(button for button in dialog.findChildren(QPushButton) if button.text() == name).click()


def test_the_text_comes_first_and_the_report_after_it(own_folders: Path, open_window: Open) -> None:
    leave_copies(own_folders, "Clara")
    log_folder().mkdir(parents=True, exist_ok=True)
    (log_folder() / "mezzotint.log").write_text("2026-11-29 21:03:05,1 engine: out of memory\n", "utf-8")
    window = open_window()
    window.start(None, LOST)
    dialog = dialog_of(window)
    assert window.offer.isHidden()  # one thing at a time
    assert dialog.restore_button.isDefault()
    dialog.restore_button.click()
    assert window.view.page.text() == "Clara"
    assert dialog.isVisible()
    press(dialog, "Copy the report")
    report = QGuiApplication.clipboard().text()
    assert "Segmentation fault" in report
    assert "out of memory" in report
    assert "Clara" not in report
    press(dialog, "Show the report")
    shown = dialog.findChild(TextDialog)
    assert shown is not None
    assert "Segmentation fault" in shown.text.toPlainText()
    shown.accept()
    dialog.accept()
    assert window.offer.isHidden()
    assert window.view.page.document().isModified()


def test_what_is_not_restored_is_offered_after_it(own_folders: Path, open_window: Open) -> None:
    leave_copies(own_folders, "Clara")
    window = open_window()
    window.start(None, LOST)
    press(dialog_of(window), "Close")
    assert window.offer.isVisible()
    assert "Clara" in window.offer.text
    assert window.view.page.text() == ""


def test_a_text_that_another_window_has_taken_is_not_said_to_be_open(
    own_folders: Path, open_window: Open
) -> None:
    leave_copies(own_folders, "Clara")
    window = open_window()
    window.start(None, LOST)
    for copy in (own_folders / "state" / "mezzotint" / "recovery").glob("*/*.recovery"):
        copy.unlink()
    dialog_of(window).restore_button.click()
    assert window.view.page.text() == ""
    said = [label.text() for label in dialog_of(window).findChildren(QLabel)]
    assert "Another window has opened this text already." in said
    dialog_of(window).accept()


def test_without_a_text_there_is_the_report_alone(window: MainWindow) -> None:
    window.start(None, LOST)
    dialog = dialog_of(window)
    assert dialog.restore_button.isHidden()
    press(dialog, "Close")
    assert window.offer.isHidden()


@pytest.mark.parametrize("path", [None, Path("ferry.md")])
def test_after_an_end_in_order_there_is_no_dialog(window: MainWindow, path: Path | None) -> None:
    window.start(path)
    assert window.findChild(CrashDialog) is None
