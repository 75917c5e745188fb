"""Drafts as a writer uses them: the bar, the button, the keys, what is in view."""

import asyncio

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftSession, DraftState
from app.drafting.variant import Variant
from app.window.main_window import MainWindow
from engine.protocol.events import Failed
from tests.app.conftest import Run
from tests.app.pages import TEXT, put_caret
from tests.app.window.conftest import settle
from tests.fakes import TEXT as DRAFT


def current(window: MainWindow) -> DraftSession:
    assert window.view.drafts.current is not None
    return window.view.drafts.current


def bar_top(window: MainWindow) -> float:
    return window.view.drafts.overlays[current(window)].geometry.bar_top


def test_the_toolbar_and_the_menu_draft_and_never_keep(window: MainWindow, run: Run, qtbot: QtBot) -> None:
    put_caret(window.view.page, 0)
    button = next(b for b in window.top.findChildren(QToolButton) if b.text() == "Draft paragraph")
    states = (
        window.view.draft_actions.retry,
        window.view.draft_actions.keep,
        window.view.draft_actions.discard,
        window.view.draft_actions.go_to,
    )
    assert button.isEnabled()
    assert button.toolTip() == "Draft paragraph (Ctrl+Enter)"
    assert not any(action.isEnabled() for action in (*states, window.view.draft_actions.stop))
    run(settle(window))
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    window.view.draft_actions.draft.trigger()
    assert window.view.drafts.state is DraftState.SETTLED
    assert all(action.isEnabled() for action in states)
    qtbot.keyClick(window.view.page, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert window.view.page.text() == DRAFT


def test_the_drafts_of_a_place_are_within_reach_of_keys(window: MainWindow, run: Run, qtbot: QtBot) -> None:
    async def again() -> None:
        window.view.draft_actions.retry.trigger()
        while window.view.drafts.state is not DraftState.SETTLED:
            await asyncio.sleep(0.002)

    run(settle(window))
    run(again())
    alt = Qt.KeyboardModifier.AltModifier
    for key, shown in ((Qt.Key.Key_PageUp, 0), (Qt.Key.Key_PageDown, 1)):
        qtbot.keyClick(window.view.page, key, alt)
        assert current(window).shown_variant == shown
    assert not window.view.draft_actions.next.isEnabled()


@pytest.mark.parametrize("pixels", [14, 22])
def test_the_bar_fits_into_the_narrowest_page(window: MainWindow, run: Run, pixels: int) -> None:
    window.resize(560, 500)
    font = QApplication.font()
    font.setPixelSize(pixels)
    for part in window.view.bar.findChildren(QWidget):
        part.setFont(font)
    run(settle(window))
    draft = current(window)
    draft.variants *= 2
    for state in (DraftState.SETTLED, DraftState.DENOISING, DraftState.PREPARING):
        for stalled in (False, state is not DraftState.SETTLED):
            draft.state = state
            draft.set_stalled(stalled)
            assert window.view.bar.geometry().right() < window.view.page.viewport().width(), (state, pixels)


def test_a_screen_reader_finds_the_draft(window: MainWindow, run: Run) -> None:
    run(settle(window))
    assert window.view.bar.accessibleDescription() == DRAFT


@pytest.mark.parametrize("kind", ["engine-died", "engine-garbled", "device-lost"])
def test_an_engine_that_died_is_not_said_to_be_ready(window: MainWindow, run: Run, kind: str) -> None:
    async def scenario() -> None:
        await settle(window)
        window.view.drafts.discard_all()
        window.view.commands.draft()
        while window.view.drafts.state is not DraftState.DENOISING:
            await asyncio.sleep(0.002)
        window.model.note(Failed(request_id="", kind=kind, message="It died."))
        current(window).give_up()

    run(scenario())
    assert window.status.model.text() == "No model is loaded · the next draft loads it"
    assert window.status.state.text() == ""
    assert not window.free_action.isEnabled()
    run(settle(window))


def test_a_button_that_goes_leaves_the_keys_to_the_page(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(window)
        window.view.bar.retry.setFocus()
        window.view.bar.retry.click()
        assert window.focusWidget() is window.view.page
        window.view.drafts.discard_all()

    run(scenario())


def test_a_draft_that_is_out_of_view_is_shown_not_kept(window: MainWindow, run: Run) -> None:
    set_document_text(window.view.page.document(), "\n".join(f"Line {number}" for number in range(200)))
    put_caret(window.view.page, 20)
    run(settle(window))
    before = window.view.page.text()
    window.view.page.verticalScrollBar().setValue(window.view.page.verticalScrollBar().maximum())
    window.view.commands.draft()
    assert window.view.page.text() == before
    assert window.view.drafts.overlays[current(window)].geometry.is_in_view()
    window.view.commands.draft()
    assert window.view.page.text() != before


def test_going_to_a_draft_shows_its_bar(window: MainWindow, run: Run) -> None:
    window.resize(900, 420)
    set_document_text(window.view.page.document(), "\n".join(f"Line {number}" for number in range(200)))
    put_caret(window.view.page, window.view.page.document().characterCount() - 1)
    run(settle(window))
    put_caret(window.view.page, 0)
    window.view.drafts.go_to_draft()
    assert 0 < bar_top(window) < window.view.page.viewport().height() - 40


@pytest.mark.parametrize("paragraphs", range(20, 60, 5))
def test_the_texts_end_comes_into_view_past_a_draft(
    window: MainWindow, run: Run, qtbot: QtBot, paragraphs: int
) -> None:
    set_document_text(
        window.view.page.document(), "\n".join(["word " * (7 * n % 110) for n in range(paragraphs)])
    )
    put_caret(window.view.page, 700)
    run(settle(window))
    QApplication.processEvents()
    qtbot.keyClick(window.view.page, Qt.Key.Key_End, Qt.KeyboardModifier.ControlModifier)
    QApplication.processEvents()
    assert window.view.page.viewport().rect().contains(window.view.page.cursorRect().center())


def test_the_draft_button_is_shown_whole_or_not_at_all(window: MainWindow) -> None:
    set_document_text(window.view.page.document(), "x\n" * 8)
    put_caret(window.view.page, 16)
    window.view.page.setFocus()
    shown = set()
    for height in range(380, 480):
        window.resize(1100, height)
        QApplication.processEvents()
        shown.add(window.view.button.isVisible())
        bottom = window.view.page.viewport().geometry().bottom()
        assert window.view.button.isHidden() or window.view.button.geometry().bottom() <= bottom + 1, height
    assert shown == {True, False}


@pytest.mark.parametrize(
    ("short", "size_px", "shown"), [("Short.", 30, True), ("Short.", 12, False), ("שלום.", 30, False)]
)
def test_the_draft_button_hides_no_text_in_a_narrow_window(
    window: MainWindow, short: str, size_px: int, shown: bool
) -> None:
    window.settings.change(font_size_px=size_px)
    window.resize(700, 600)
    set_document_text(window.view.page.document(), "\n".join(("long " * 60, short, "long " * 60)))
    put_caret(window.view.page, 300 + 1 + len(short))
    window.view.page.setFocus()
    QApplication.processEvents()
    assert window.view.button.isVisible() is shown


def test_ctrl_enter_goes_to_a_draft_that_is_out_of_view(window: MainWindow, run: Run) -> None:
    lines = 5000
    set_document_text(
        window.view.page.document(), "\n".join(f"Line {number}" for number in range(lines)) + "\n"
    )
    put_caret(window.view.page, window.view.page.document().characterCount() - 1)
    run(settle(window))
    for caret in (0, window.view.page.document().characterCount() // 2):
        window.view.page.verticalScrollBar().setValue(0 if caret else lines)
        put_caret(window.view.page, caret)
        window.view.commands.draft()
        assert 0 < bar_top(window) < window.view.page.viewport().height()


def test_the_draft_button_stands_where_a_draft_could_go_and_never_over_text(window: MainWindow) -> None:
    window.resize(1100, 700)
    set_document_text(window.view.page.document(), TEXT)
    window.view.page.setFocus()
    put_caret(window.view.page, len(TEXT) + 1)
    QApplication.processEvents()
    assert window.view.button.isVisible()
    last = window.view.page.cursorRect().translated(window.view.page.viewport().geometry().topLeft())
    assert window.view.button.geometry().top() > last.bottom()
    put_caret(window.view.page, 10)
    QApplication.processEvents()
    assert window.view.button.isHidden()


def test_the_draft_button_follows_the_caret_when_a_long_word_is_deleted(
    window: MainWindow, qtbot: QtBot
) -> None:
    page = window.view.page
    set_document_text(page.document(), "One.\nTwo.\n\nThree.\n\n" + "x" * 2000)
    page.setFocus()
    page.moveCursor(QTextCursor.MoveOperation.End)
    QApplication.processEvents()
    qtbot.keyClick(page, Qt.Key.Key_Backspace, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(window.view.button.isVisible)  # once typing pauses
    caret = page.cursorRect().translated(page.viewport().geometry().topLeft())
    assert window.view.button.geometry().top() > caret.bottom()


def test_the_bar_stands_under_the_draft_with_what_can_be_done(window: MainWindow, run: Run) -> None:
    run(settle(window))
    bar = window.view.bar
    assert bar.isVisible()
    assert bar.geometry().top() == round(bar_top(window))
    shown = [button for button in (bar.keep, bar.retry, bar.discard, bar.stop) if button.isVisible()]
    assert shown == [bar.keep, bar.retry, bar.discard]


def test_figures_of_a_draft_belong_to_the_one_that_is_shown(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(window)
        drafts, state = window.view.drafts, window.status.state
        draft = current(window)
        draft.variants.append(Variant("It was stopped.", 7, None))
        draft.show(1)
        assert "3 steps" not in state.details
        draft.show(0)
        assert "3 steps" in state.details
        drafts.discard_all()
        assert (state.text(), state.details) == ("ready", "")
        window.model.unload()
        assert (state.text(), window.status.model.details) == ("", "")

    run(scenario())


def test_keep_and_discard_are_in_reach_wherever_the_draft_is(window: MainWindow, run: Run) -> None:
    window.resize(900, 420)
    set_document_text(window.view.page.document(), "\n".join(f"Line {number}" for number in range(200)))
    page, bar, scroll = window.view.page, window.view.bar, window.view.page.verticalScrollBar()
    put_caret(page, page.document().findBlockByNumber(100).position() + 5)
    run(settle(window))
    assert bar.go_to.isHidden()
    for value, arrow in ((0, "↓"), (scroll.maximum(), "↑")):
        scroll.setValue(value)
        QApplication.processEvents()
        assert page.viewport().rect().contains(bar.geometry())
        assert bar.keep.isVisible()
        assert bar.go_to.isVisible()
        assert bar.go_to.text().endswith(arrow)
        put_caret(page, page.cursorForPosition(bar.geometry().center()).position())
        QApplication.processEvents()
        assert not bar.geometry().intersects(page.cursorRect())  # the line in hand is not hidden
    scroll.setValue(0)
    QApplication.processEvents()
    bar.go_to.click()
    QApplication.processEvents()
    assert bar.go_to.isHidden()
    assert window.view.drafts.at_caret is current(window)


def test_the_bar_holds_still_while_drafts_are_compared(window: MainWindow, run: Run) -> None:
    run(settle(window))
    draft = current(window)
    draft.variants[0] = Variant("word " * 120, 0, None)
    draft.variants.append(Variant("Short.", 0, None))
    draft.show(0)
    QApplication.processEvents()
    tops = []
    for shown in (1, 0, 1):
        draft.show(shown)
        QApplication.processEvents()
        tops.append((window.view.bar.y(), window.view.bar.next.mapTo(window, QPoint()).x()))
    assert len(set(tops)) == 1
    assert min(window.view.bar.next.width(), window.view.bar.next.height()) >= 28


def test_a_discarded_draft_can_be_brought_back_until_the_next_one_ends(window: MainWindow, run: Run) -> None:
    bring_back, discard = window.view.draft_actions.bring_back, window.view.draft_actions.discard
    assert not bring_back.isEnabled()
    run(settle(window))
    text = current(window).text
    discard.trigger()
    assert bring_back.isEnabled()
    window.view.page.insertPlainText("Once. ")
    bring_back.trigger()
    assert current(window).text == text
    window.view.commands.keep()
    assert DRAFT in window.view.page.text()
    assert not bring_back.isEnabled()


def test_the_keys_are_told_while_they_hold(window: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(window)
        while "↵" not in window.view.bar.keep.text():
            await asyncio.sleep(0.002)
        window.view.page.insertPlainText("x")
        while "↵" in window.view.bar.keep.text():
            await asyncio.sleep(0.002)
        assert "Esc" not in window.view.bar.discard.text()
        window.view.drafts.go_to_draft()
        assert "↵" in window.view.bar.keep.text()

    run(scenario())


def test_redo_puts_the_caret_behind_a_kept_draft(window: MainWindow, run: Run) -> None:
    run(settle(window))
    window.view.commands.keep()
    page = window.view.page
    behind = page.textCursor().position()
    page.undo()
    page.redo()
    assert page.textCursor().position() == behind
