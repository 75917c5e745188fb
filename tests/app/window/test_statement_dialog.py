"""What was drafted is stated, copied and saved beside the text."""

from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton

from app.provenance.ui.statement_dialog import StatementDialog
from app.window.main_window import MainWindow
from app.window.menus import FileMenu
from engine.protocol.errors import Fault
from tests.app.conftest import Run
from tests.app.pages import END, put_caret
from tests.app.window.conftest import settle


@pytest.fixture
def dialog(window: MainWindow, run: Run, file: Path) -> StatementDialog:
    async def scenario() -> None:
        window.files.open_path(file)
        put_caret(window.view.page, END)
        await settle(window)
        window.view.commands.keep()

    run(scenario())
    (menu,) = window.findChildren(FileMenu)
    (action,) = (one for one in menu.actions() if "drafted" in one.text())
    action.trigger()
    (dialog,) = window.findChildren(StatementDialog)
    return dialog


def test_it_counts_the_text_as_it_is_now(dialog: StatementDialog) -> None:
    assert dialog.statement.startswith("7 % of the words of “ferry.md” were drafted by Mezzotint with “")
    assert "5 of 72." in dialog.statement
    dialog.findChildren(QPushButton)[0].click()
    assert QGuiApplication.clipboard().text() == dialog.statement


def test_it_is_saved_where_the_writer_says(dialog: StatementDialog, tmp_path: Path) -> None:
    dialog.save(tmp_path / "said.txt")
    assert (tmp_path / "said.txt").read_text(encoding="utf-8") == dialog.statement
    assert dialog.isHidden()


def test_a_place_that_takes_nothing_is_told(dialog: StatementDialog, tmp_path: Path) -> None:
    told: list[Fault] = []
    dialog.failed.connect(told.append)
    dialog.save(tmp_path / "nowhere" / "said.txt")
    assert [fault.kind for fault in told] == ["document"]
    assert dialog.isVisible()
