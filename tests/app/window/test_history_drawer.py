"""The history's drawer as a writer uses it: by keys, by search, and what it does to the text."""

import asyncio
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QApplication, QMessageBox, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftState
from app.history.queries import ROWS
from app.history.ui.drawer import HistoryDrawer
from app.widgets.text_dialog import TextDialog
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.history.records import a_record
from tests.app.pages import END, TEXT, put_caret
from tests.app.window.conftest import settle
from tests.fakes import TEXT as DRAFT

KEY = Qt.Key


async def until(reached: Callable[[], object]) -> None:
    while not reached():
        await asyncio.sleep(0.002)


async def open_drawer(window: MainWindow, *texts: str) -> HistoryDrawer:
    """With these drafts, the newest first."""
    for text in reversed(texts):
        window.history.add(a_record(*text.split("|"), request_id=text))
    window.side_panel.open_history()
    drawer = window.side_panel.history_drawer
    await until(lambda: len(drawer.drafts.rows) == min(ROWS, len(texts)) and drawer.details.record)
    return drawer


def press(qtbot: QtBot, *keys: Qt.Key) -> None:
    """Whatever has the keys gets them."""
    for key in keys:
        target = QApplication.focusWidget()
        assert target is not None
        qtbot.keyClick(target, key)


def answer(window: MainWindow, text: str) -> None:
    box = window.findChildren(QMessageBox)[-1]
    next(button for button in box.buttons() if button.text() == text).click()


def test_a_draft_is_found_and_put_in_by_keys_alone(window: MainWindow, run: Run, qtbot: QtBot) -> None:
    page = window.view.page
    set_document_text(page.document(), TEXT)
    put_caret(page, END)

    async def scenario() -> None:
        window.history.add(a_record("He waved.", request_id="1"))
        window.history.add(a_record("The lamp burned.", request_id="2"))
        window.history.add(a_record("Far out a lantern swung.", request_id="3"))
        qtbot.keyClick(
            page, KEY.Key_H, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        )
        drawer = window.side_panel.history_drawer
        await until(lambda: len(drawer.drafts.rows) == 3)
        for letter in "la":
            qtbot.keyClicks(QApplication.focusWidget(), letter)
        await until(lambda: len(drawer.drafts.rows) == 2)
        press(qtbot, KEY.Key_Down, KEY.Key_Down)
        await until(lambda: drawer.details.record and drawer.details.record.id == 2)
        press(qtbot, KEY.Key_Return)

    run(scenario())
    assert page.hasFocus()
    assert page.text() == f"{TEXT}\n\nThe lamp burned."
    page.undo()
    assert page.text() == TEXT


def test_typing_in_the_list_looks_for_it_and_esc_leads_back_to_the_page(
    window: MainWindow, run: Run, qtbot: QtBot
) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, "One.", "Two.")
        press(qtbot, KEY.Key_Down, KEY.Key_T)
        assert drawer.search.hasFocus()
        assert drawer.search.text() == "t"
        await until(lambda: len(drawer.drafts.rows) == 1)
        press(qtbot, KEY.Key_Down)
        assert drawer.list.hasFocus()
        press(qtbot, KEY.Key_Up)
        assert drawer.search.hasFocus()
        press(qtbot, KEY.Key_Z)
        await until(lambda: not drawer.drafts.rows)
        assert drawer.details.isHidden()
        press(qtbot, KEY.Key_Escape)
        assert window.view.page.hasFocus()
        assert not drawer.isVisible()
        window.panel_action.trigger()
        assert not drawer.isVisible()
        assert window.side_panel.panel.isVisible()

    run(scenario())


def test_rows_are_read_as_they_are_looked_at(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, *(f"Draft {number}." for number in range(2 * ROWS + 5)))
        for expected in (2 * ROWS, 2 * ROWS + 5):
            drawer.list.scrollToBottom()
            await until(lambda: len(drawer.drafts.rows) >= expected)  # noqa: B023
        assert [row.text for row in drawer.drafts.rows] == [f"Draft {n}." for n in range(2 * ROWS + 5)]

    run(scenario())


def test_what_is_drafted_meanwhile_comes_to_the_top(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, "One.", "Two.")
        drawer.list.setCurrentIndex(drawer.drafts.index(1))
        await until(lambda: drawer.details.record and drawer.details.record.id == 1)
        await settle(window)
        await until(lambda: len(drawer.drafts.rows) == 3)
        assert drawer.drafts.rows[0].text == DRAFT
        assert drawer.list.currentIndex().row() == 2
        window.view.commands.keep()
        await until(lambda: drawer.drafts.rows[0].kept)

    run(scenario())


def test_the_variants_of_a_draft_are_within_reach_of_keys(window: MainWindow, run: Run, qtbot: QtBot) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, "First.|Second.|Third.", "Another.")
        press(qtbot, KEY.Key_Down, KEY.Key_Right, KEY.Key_Right, KEY.Key_Right, KEY.Key_Left)
        assert drawer.details.text.text() == "Second."
        assert "seed 8" in drawer.details.facts.text()
        drawer.search.setText("thi")
        await until(lambda: len(drawer.drafts.rows) == 1)
        drawer.list.setFocus()
        drawer.search.setText("another")
        await until(lambda: drawer.details.text.text() == "Another.")
        drawer.search.setText("THIR")
        await until(lambda: drawer.details.text.text() == "Third.")
        press(qtbot, KEY.Key_Left)
        qtbot.keyClick(drawer.list, KEY.Key_C, Qt.KeyboardModifier.ControlModifier)
        assert QGuiApplication.clipboard().text() == "Second."

    run(scenario())


def test_a_draft_is_deleted_once_that_is_asked(window: MainWindow, run: Run, qtbot: QtBot) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, "One.", "Two.", "Three.")
        press(qtbot, KEY.Key_Down, KEY.Key_Down)
        await until(lambda: drawer.details.record and drawer.details.record.id == 2)
        press(qtbot, KEY.Key_Delete)
        answer(window, "Keep it")
        assert len(drawer.drafts.rows) == 3
        press(qtbot, KEY.Key_Delete)
        answer(window, "Delete")
        assert [row.text for row in drawer.drafts.rows] == ["One.", "Three."]
        await until(lambda: drawer.details.record and drawer.details.record.id != 2)
        drawer.open()
        await until(lambda: drawer.size_label.text() == "2 drafts")
        assert [row.text for row in drawer.drafts.rows] == ["One.", "Three."]

    run(scenario())


def test_all_are_deleted_once_that_is_asked(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, "One.", "Two.")
        drawer.delete_all.click()
        answer(window, "Delete all")
        await until(lambda: not drawer.drafts.rows)
        assert drawer.list.isHidden()
        assert drawer.details.isHidden()
        assert not drawer.empty.isHidden()
        await until(drawer.delete_all.isHidden)
        await settle(window)
        await until(lambda: len(drawer.drafts.rows) == 1)
        assert not drawer.list.isHidden()
        assert drawer.empty.isHidden()

    run(scenario())


def test_a_draft_is_compared_with_what_stands_now(window: MainWindow, run: Run) -> None:
    page = window.view.page
    set_document_text(page.document(), f"It rained.\n\n{TEXT}\n\nShe left.")

    async def scenario() -> None:
        drawer = await open_drawer(window, "He had come to lock the door and looked at her while he spoke.")
        drawer.details.compare.click()
        await until(lambda: window.findChildren(TextDialog))
        (dialog,) = window.findChildren(TextDialog)
        shown = dialog.text.toPlainText()
        assert "out " in shown
        assert "rained" not in shown
        dialog.accept()
        window.history.add(a_record("那天晚上。", request_id="2"))
        await until(lambda: len(drawer.drafts.rows) == 2)
        drawer.list.setCurrentIndex(drawer.drafts.index(0))
        await until(lambda: drawer.details.record and drawer.details.record.id == 2)
        drawer.details.compare.click()
        await until(lambda: "Nothing in your text" in window.notice.text)
        put_caret(page, 0)
        page.moveCursor(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
        drawer.details.compare.click()
        assert "It rained." in window.findChildren(TextDialog)[-1].text.toPlainText()

    run(scenario())


def test_a_draft_is_drafted_again_with_its_seed(window: MainWindow, run: Run, qtbot: QtBot) -> None:
    async def scenario() -> None:
        await settle(window)
        drafts = window.view.drafts
        assert drafts.current is not None
        seed = drafts.current.variants[0].seed
        window.view.commands.keep()
        window.side_panel.open_history()
        drawer = window.side_panel.history_drawer
        await until(lambda: drawer.details.record)
        drawer.details.again.setFocus()
        press(qtbot, KEY.Key_Return)
        await until(lambda: drafts.state is DraftState.SETTLED)
        assert drafts.current.variants[0].seed == seed
        assert window.view.page.hasFocus()
        await until(lambda: len(drawer.drafts.rows) == 2)
        told = window.notice.text
        drawer.details.again.click()  # one stands there already
        assert len(drafts.overlays) == 1
        assert told == window.notice.text

    run(scenario())


def test_what_differs_is_told_where_another_text_comes_out(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        window.history.add(
            a_record("It was another one.", model="Gemma", precision="4-bit", device="RTX 4090")
        )
        window.side_panel.open_history()
        drawer = window.side_panel.history_drawer
        await until(lambda: drawer.details.record)
        drawer.details.again.click()
        await until(lambda: window.view.drafts.state is DraftState.SETTLED)
        assert not window.notice.isHidden()
        for words in ("Gemma then", "RTX 4090 then, CPU now", "4-bit then, 32-bit now"):
            assert words in window.notice.text

    run(scenario())


def test_the_prompt_is_shown_as_it_was_sent(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, "One.")
        drawer.details.prompt.click()
        (dialog,) = window.findChildren(TextDialog)
        assert dialog.text.toPlainText() == "The ferry was late again."
        dialog.accept()

    run(scenario())


def test_the_chosen_draft_stays_in_view_whatever_room_its_text_takes(
    window: MainWindow, run: Run, qtbot: QtBot
) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, "One.", "Two.", "Three.", "long " * 300, "Five.", "Six.")
        before = drawer.list.height()
        press(qtbot, *[KEY.Key_Down] * 4)
        await until(lambda: drawer.details.text.text().startswith("long"))
        await until(lambda: drawer.list.height() < before / 2)
        view, current = drawer.list.viewport(), drawer.list.currentIndex()
        assert current.row() == 3
        await until(lambda: view.rect().contains(drawer.list.visualRect(current)))
        press(qtbot, KEY.Key_Escape)
        assert not drawer.isVisible()
        assert window.view.page.hasFocus()

    run(scenario())


def test_each_control_has_a_name(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        drawer = await open_drawer(window, "One.|Two.")
        for control in drawer.findChildren(QWidget):
            if control.focusPolicy() & Qt.FocusPolicy.TabFocus and control.isVisible():
                assert control.accessibleName(), control
        said = drawer.drafts.index(0).data(Qt.ItemDataRole.AccessibleTextRole)
        assert said.startswith("One. Draft paragraph, not kept")

    run(scenario())


@pytest.mark.parametrize("text", ["One.", "word " * 3000])
def test_the_drawer_fits_a_small_window(window: MainWindow, run: Run, text: str) -> None:
    async def scenario() -> None:
        window.side_panel.open_settings(True)
        before = window.minimumSizeHint()
        drawer = await open_drawer(window, text)
        assert window.minimumSizeHint() == before
        outer = drawer.findChildren(QScrollArea)[0].verticalScrollBar()
        await until(lambda: outer.maximum() == 0)
        window.resize(window.width(), window.minimumHeight())
        await until(lambda: outer.maximum() > 0)

    run(scenario())
