"""The boxes that ask before text is lost, and the dialog that asks for a name."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.window.main_window import MainWindow

FOLDER = "Documents"


@pytest.fixture
def documents(own_folders: Path) -> Path:
    """Where new files go."""
    folder = own_folders / FOLDER
    folder.mkdir()
    return folder


def box_of(window: MainWindow) -> QMessageBox:
    box = window.findChild(QMessageBox)
    assert box is not None
    return box


def asked(window: MainWindow) -> QFileDialog:
    window.files.save_as()
    dialog = window.findChild(QFileDialog)
    assert dialog is not None
    return dialog


def test_unsaved_text_is_saved_or_not_or_nothing_happens(window: MainWindow) -> None:
    window.view.page.insertPlainText("x")
    window.close()
    buttons = {button.text().replace("&", ""): button for button in box_of(window).findChildren(QPushButton)}
    assert set(buttons) == {"Save", "Don’t save", "Cancel"}
    assert buttons["Save"].isDefault()
    QTest.keyClick(box_of(window), Qt.Key.Key_Escape)
    assert window.isVisible()
    assert window.view.page.text() == "x"


def test_a_name_is_taken_as_it_is(window: MainWindow, tmp_path: Path) -> None:
    window.files.open_path(tmp_path / "<b>x<br>y.md", or_new=True)
    window.view.page.insertPlainText("x")
    window.close()
    box = box_of(window)
    assert "<b>x<br>y.md" in box.text()
    assert box.sizeHint().height() < 200
    assert box.textFormat().name == "PlainText"


@pytest.mark.parametrize("there", [0, 1, 3])
def test_a_new_text_is_to_be_called_by_its_first_words(
    window: MainWindow, documents: Path, there: int, qtbot: QtBot
) -> None:
    names = ["The ferry.md", "The ferry 2.md", "The ferry 3.md", "The ferry 4.md"]
    for name in names[:there]:
        (documents / name).touch()
    set_document_text(window.view.page.document(), "# The ferry\n\nIt was late.")
    assert asked(window).selectedFiles() == [str(documents / names[there])]


def test_without_a_folder_for_documents_the_home_is_it(window: MainWindow, own_folders: Path) -> None:
    set_document_text(window.view.page.document(), "One.\nTwo.\nThree.")
    assert asked(window).selectedFiles() == [str(own_folders / "One.txt")]


def test_a_file_is_saved_under_its_own_name_unless_another_is_written(window: MainWindow, file: Path) -> None:
    window.files.open_path(file)
    dialog = asked(window)
    assert dialog.selectedFiles() == [str(file)]
    assert dialog.defaultSuffix() == "md"
