"""Find and replace, by keys."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.window.find_bar import FindBar
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import put_caret
from tests.app.window.conftest import settle

SEA = "The sea was calm. The sea was wide.\nNo Sea is deaf.\n"
KEY, MOD = Qt.Key, Qt.KeyboardModifier


@pytest.fixture
def bar(window: MainWindow, qtbot: QtBot) -> FindBar:
    set_document_text(window.view.page.document(), SEA)
    window.activateWindow()
    qtbot.waitUntil(window.view.page.hasFocus)
    qtbot.keyClick(window.view.page, KEY.Key_F, MOD.ControlModifier)
    assert window.view.find_bar.text.hasFocus()
    return window.view.find_bar


def chosen(window: MainWindow) -> tuple[int, int]:
    cursor = window.view.page.textCursor()
    return cursor.selectionStart(), cursor.selectionEnd()


def marks(window: MainWindow) -> list[tuple[int, int]]:
    found = window.view.page.extraSelections()
    return [(mark.cursor.selectionStart(), mark.cursor.selectionEnd()) for mark in found]


def test_enter_and_f3_go_round_and_esc_gives_the_keys_back(
    window: MainWindow, bar: FindBar, qtbot: QtBot
) -> None:
    qtbot.keyClicks(bar.text, "sea")
    qtbot.waitUntil(lambda: bar.search.is_complete)
    assert (chosen(window), bar.count.text()) == ((4, 7), "1 of 3")
    qtbot.waitUntil(lambda: marks(window) == [(4, 7), (22, 25), (39, 42)])
    qtbot.keyClick(bar.text, KEY.Key_Return)
    assert (chosen(window), bar.count.text()) == ((22, 25), "2 of 3")
    qtbot.keyClick(bar.text, KEY.Key_Return, MOD.ShiftModifier)
    qtbot.keyClick(bar.text, KEY.Key_F3, MOD.ShiftModifier)
    assert (chosen(window), bar.count.text()) == ((39, 42), "3 of 3")
    window.notice.show_message("A message.", "", ("Do something", bar.update))
    qtbot.keyClick(bar.text, KEY.Key_Escape)
    assert bar.isHidden()
    assert window.view.page.hasFocus()
    assert marks(window) == []
    qtbot.keyClick(window.view.page, KEY.Key_F3)  # without the bar
    assert chosen(window) == (4, 7)
    assert bar.isHidden()


def test_tab_leads_from_what_is_found_to_what_replaces_it(bar: FindBar, qtbot: QtBot) -> None:
    qtbot.keyClick(bar.text, KEY.Key_Tab)
    assert isinstance(bar.focusWidget(), QToolButton)
    bar.open(replacing=True)
    bar.text.setFocus()
    qtbot.keyClick(bar.text, KEY.Key_Tab)
    assert bar.replacement.hasFocus()
    qtbot.keyClick(bar.replacement, KEY.Key_Backtab)
    assert bar.text.hasFocus()


def test_options_and_what_is_no_pattern(bar: FindBar, qtbot: QtBot) -> None:
    for box, text, count in (
        (bar.match_case, "sea", 2),
        (bar.whole_words, "sea|deaf", 0),
        (bar.is_pattern, "sea|deaf", 3),
    ):
        bar.text.setText(text)
        box.setChecked(True)
        qtbot.waitUntil(lambda: bar.search.is_complete)
        assert len(bar.search.starts) == count
    bar.text.setText("sea|(")
    qtbot.waitUntil(bar.problem.isVisible)
    assert bar.count.text() == ""
    bar.text.setText("sea|()")
    qtbot.waitUntil(bar.problem.isHidden)


def test_replacing_goes_on_to_the_next_and_all_is_one_step(
    window: MainWindow, bar: FindBar, qtbot: QtBot
) -> None:
    page = window.view.page
    qtbot.keyClick(bar.text, KEY.Key_H, MOD.ControlModifier)
    qtbot.keyClicks(bar.text, "sea")
    qtbot.keyClicks(bar.replacement, "lake")
    bar.replacement.setFocus()
    qtbot.keyClick(bar.replacement, KEY.Key_Return)
    assert page.text() == SEA.replace("sea", "lake", 1)
    assert chosen(window) == (23, 26)
    page.undo()
    qtbot.keyClick(bar, KEY.Key_A, MOD.AltModifier)
    qtbot.waitUntil(lambda: page.text() == SEA.replace("sea", "lake").replace("Sea", "lake"))
    qtbot.waitUntil(lambda: bar.search.is_complete)
    assert bar.count.text() == "3 replaced"
    page.undo()
    assert page.text() == SEA


@pytest.fixture
def replacing(window: MainWindow, bar: FindBar, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> FindBar:
    """Replace all goes on, a match at a time."""
    bar.open(replacing=True)
    set_document_text(window.view.page.document(), "sea " * 60)
    bar.text.setText("sea")
    bar.replacement.setText("lake")
    qtbot.waitUntil(lambda: bar.search.is_complete)
    monkeypatch.setattr("app.editor.search.SLICE_S", -1)
    qtbot.keyClick(bar, KEY.Key_A, MOD.AltModifier)
    qtbot.waitUntil(lambda: window.view.page.text().endswith("lake "))
    assert bar.count.text().endswith(" replaced…")
    return bar


def test_replacing_many_tells_how_far_it_is(window: MainWindow, replacing: FindBar, qtbot: QtBot) -> None:
    assert replacing.replace_one.text() == "Ca&ncel"
    replacing.replacement.setFocus()
    qtbot.keyClick(replacing, KEY.Key_A, MOD.AltModifier)  # it goes on as it did
    qtbot.keyClick(replacing.replacement, KEY.Key_Return)
    qtbot.waitUntil(lambda: replacing.count.text() == "60 replaced")
    assert window.view.page.text() == "lake " * 60
    assert replacing.replace_one.text() == "&Replace"
    window.view.page.undo()
    assert window.view.page.text() == "sea " * 60


@pytest.mark.parametrize("how", ["Cancel", "Esc", "another query"])
def test_replacing_many_is_cancelled(window: MainWindow, replacing: FindBar, qtbot: QtBot, how: str) -> None:
    if how == "Cancel":
        qtbot.mouseClick(replacing.replace_one, Qt.MouseButton.LeftButton)
    elif how == "Esc":
        qtbot.keyClick(replacing, KEY.Key_Escape)
    else:
        replacing.match_case.click()
    assert window.view.page.text() == "sea " * 60
    QApplication.processEvents()
    assert window.view.page.text() == "sea " * 60
    assert "replaced" not in replacing.count.text()


def test_an_edit_meanwhile_ends_it_and_the_rest_is_counted(
    window: MainWindow, replacing: FindBar, qtbot: QtBot
) -> None:
    window.view.page.undo()
    assert window.view.page.text() == "sea " * 60
    qtbot.waitUntil(lambda: replacing.count.text() == "60 matches")


def test_a_selection_of_several_lines_is_where_is_looked(
    window: MainWindow, bar: FindBar, qtbot: QtBot
) -> None:
    qtbot.keyClick(bar.text, KEY.Key_Escape)
    cursor = window.view.page.textCursor()
    cursor.setPosition(20)
    cursor.setPosition(48, cursor.MoveMode.KeepAnchor)
    window.view.page.setTextCursor(cursor)
    qtbot.keyClick(window.view.page, KEY.Key_F, MOD.ControlModifier)
    assert bar.in_selection.isChecked()
    bar.text.setText("sea")
    bar.replacement.setText("big lake")
    bar.replace_all()
    assert window.view.page.text() == "The sea was calm. The big lake was wide.\nNo big lake is deaf.\n"


def test_one_line_that_is_selected_is_looked_for(window: MainWindow, bar: FindBar, qtbot: QtBot) -> None:
    qtbot.keyClick(bar.text, KEY.Key_Escape)
    cursor = window.view.page.textCursor()
    cursor.setPosition(43)
    cursor.setPosition(45, cursor.MoveMode.KeepAnchor)
    window.view.page.setTextCursor(cursor)
    qtbot.keyClick(window.view.page, KEY.Key_F, MOD.ControlModifier)
    qtbot.waitUntil(lambda: bar.search.is_complete)
    assert (bar.text.text(), chosen(window), bar.count.text()) == ("is", (43, 45), "1 of 1")


def test_a_draft_is_not_searched_and_its_place_follows_what_is_replaced(
    window: MainWindow, bar: FindBar, run: Run
) -> None:
    page = window.view.page
    place = SEA.index("\n")
    put_caret(page, place)
    run(settle(window))
    draft = window.view.drafts.current
    assert draft is not None
    bar.text.setText("rained")  # it is in the draft
    assert bar.search.next_from(0) is None
    bar.text.setText("wide.")
    bar.replacement.setText("as wide as the sky.")
    bar.replace_all()
    assert draft.placement.cursor.position() == page.text().index("\n")
    assert draft.text is not None
    page.undo()
    assert draft.placement.cursor.position() == place


def test_typing_with_the_bar_open_moves_the_marks_and_counts_once_it_pauses(
    window: MainWindow, bar: FindBar, qtbot: QtBot
) -> None:
    bar.text.setText("sea")
    qtbot.waitUntil(lambda: len(marks(window)) == 3)
    put_caret(window.view.page, 0)
    qtbot.keyClicks(window.view.page, "A sea. ")
    assert marks(window)[0] == (11, 14)
    qtbot.waitUntil(lambda: len(marks(window)) == 4)
    assert marks(window)[0] == (2, 5)


def test_only_what_is_in_view_is_marked(window: MainWindow, bar: FindBar, qtbot: QtBot) -> None:
    set_document_text(window.view.page.document(), "The sea.\n" * 2000)
    bar.text.setText("sea")
    qtbot.waitUntil(lambda: bar.search.is_complete)
    qtbot.waitUntil(lambda: 0 < len(marks(window)) < 60)
    put_caret(window.view.page, 9 * 1999)
    qtbot.waitUntil(lambda: (9 * 1999 + 4, 9 * 1999 + 7) in marks(window))


def test_scrolling_before_it_is_searched_anew_marks_nothing_else(
    window: MainWindow, bar: FindBar, qtbot: QtBot
) -> None:
    page = window.view.page
    set_document_text(page.document(), "The sea.\n" * 2000)
    bar.text.setText("sea")
    qtbot.waitUntil(lambda: bar.search.is_complete and bool(marks(window)))
    put_caret(page, 0)
    qtbot.keyClicks(page, "A word. ")
    page.verticalScrollBar().setValue(30)
    QApplication.processEvents()
    assert bar.search.is_stale
    assert {mark.cursor.selectedText() for mark in page.extraSelections()} == {"sea"}


def test_the_bar_fits_the_narrowest_window(window: MainWindow, bar: FindBar, qtbot: QtBot) -> None:
    bar.open(replacing=True)
    window.resize(560, 500)
    QApplication.processEvents()
    assert window.width() == 560
    for part in bar.findChildren(QWidget):
        if part.isVisible():
            assert bar.rect().contains(part.mapTo(bar, part.rect().bottomRight()))
            assert part.width() >= part.minimumSizeHint().width()
