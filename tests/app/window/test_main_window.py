"""The window as a writer uses it: files, closing, faults, names."""

import asyncio
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QAccessible, QCloseEvent, QTextCursor
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFileDialog,
    QLabel,
    QMessageBox,
    QSlider,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.application import parse
from app.documents.recovery import RecoveryStore
from app.documents.text import set_document_text
from app.drafting.draft_session import DraftSession, DraftState
from app.drafting.variant import Variant
from app.editor.placement import text_context
from app.window.main_window import MainWindow
from engine.protocol.events import Failed
from tests.app.conftest import Run
from tests.app.pages import TEXT, put_caret
from tests.app.window.conftest import Open, settle
from tests.fakes import TEXT as DRAFT


def current(window: MainWindow) -> DraftSession:
    assert window.view.drafts.current is not None
    return window.view.drafts.current


def bar_top(window: MainWindow) -> float:
    return window.view.drafts.overlays[current(window)].geometry.bar_top


def test_open_draft_keep_save_and_reopen(window: MainWindow, run: Run, file: Path) -> None:
    window.files.open_path(file)
    assert window.view.page.text() == TEXT
    put_caret(window.view.page, len(TEXT) + 1)
    run(settle(window))
    window.view.commands.keep()
    window.files.save()
    assert file.read_text(encoding="utf-8") == f"{TEXT}\n\n{DRAFT}"
    assert not window.view.page.document().isModified()
    window.files.open_path(file)
    assert window.view.page.text() == f"{TEXT}\n\n{DRAFT}"


@pytest.mark.parametrize(
    ("content", "word"), [(b"\xff\xfe latin", "UTF-8"), (b"a\0b", "zero byte"), (None, "ferry.md")]
)
def test_a_file_that_cannot_be_opened_is_told_and_the_open_text_stays(
    window: MainWindow, run: Run, file: Path, content: bytes | None, word: str
) -> None:
    set_document_text(window.view.page.document(), TEXT)
    run(settle(window))
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    window.files.open_path(file)
    assert word in window.notice.text
    assert window.view.page.text() == TEXT
    assert window.view.drafts.state is DraftState.SETTLED


@pytest.mark.parametrize("name", ["new.md", "brüder 🌊.txt", "no suffix"])
def test_a_named_file_that_is_not_there_is_begun(window: MainWindow, tmp_path: Path, name: str) -> None:
    window.start(tmp_path / name)
    assert window.notice.isHidden()
    assert window.view.document.path == tmp_path / name
    assert (window.view.page.text(), window.view.page.document().isModified()) == ("", False)
    assert not (tmp_path / name).exists()
    window.view.page.insertPlainText("Dear text.")
    window.files.save()
    assert (tmp_path / name).read_text(encoding="utf-8") == "Dear text."


def test_a_file_that_somebody_else_began_meanwhile_is_not_replaced(
    window: MainWindow, tmp_path: Path
) -> None:
    window.start(tmp_path / "new.md")
    (tmp_path / "new.md").write_text("theirs")
    window.view.page.insertPlainText("mine")
    window.files.save()
    assert (tmp_path / "new.md").read_text() == "theirs"
    assert window.notice.isVisible()


@pytest.mark.parametrize("name", ["gone/new.md", "new.docx", "n" * 300 + ".md"])
def test_a_named_file_that_could_not_be_saved_is_not_begun(
    window: MainWindow, tmp_path: Path, name: str
) -> None:
    window.start(tmp_path / name)
    assert window.notice.isVisible()
    assert window.view.document.path is None


@pytest.mark.qt_log_ignore("This plugin does not support raise")
def test_a_second_start_begins_a_file_too(window: MainWindow, tmp_path: Path) -> None:
    window.take(tmp_path / "new.md")
    assert window.notice.isHidden()
    assert window.view.document.path == tmp_path / "new.md"


def test_a_recent_file_that_has_gone_meanwhile_is_told(window: MainWindow, tmp_path: Path) -> None:
    window.files.take(tmp_path / "gone.md")
    assert window.notice.isVisible()
    assert window.view.document.path is None


def test_saving_over_a_file_that_another_program_changed_is_refused(window: MainWindow, file: Path) -> None:
    window.files.open_path(file)
    window.view.page.insertPlainText("Mine. ")
    file.write_text("Theirs.", encoding="utf-8")
    window.files.save()
    assert "ferry.md" in window.notice.text
    assert file.read_text(encoding="utf-8") == "Theirs."
    assert window.view.page.document().isModified()


def test_opening_another_document_gives_the_draft_up(window: MainWindow, run: Run, file: Path) -> None:
    run(settle(window))
    window.files.open_path(file)
    assert window.view.drafts.current is None
    assert window.view.bar.isHidden()


def test_unsaved_text_is_asked_for_and_cancel_keeps_the_window(window: MainWindow, qtbot: QtBot) -> None:
    window.view.page.insertPlainText("x")
    event = QCloseEvent()
    window.closeEvent(event)
    assert not event.isAccepted()
    box = window.findChild(QMessageBox)
    assert box is not None
    qtbot.mouseClick(box.button(QMessageBox.StandardButton.Cancel), Qt.MouseButton.LeftButton)
    assert window.isVisible()
    assert window.view.page.text() == "x"


def test_discarding_unsaved_text_closes(window: MainWindow, qtbot: QtBot) -> None:
    window.view.page.insertPlainText("x")
    window.close()
    box = window.findChild(QMessageBox)
    assert box is not None
    with qtbot.waitSignal(window.closed):
        qtbot.mouseClick(box.button(QMessageBox.StandardButton.Discard), Qt.MouseButton.LeftButton)


def test_closing_while_a_draft_develops_ends_it(window: MainWindow, run: Run, qtbot: QtBot) -> None:
    async def scenario() -> None:
        window.view.commands.draft()
        with qtbot.waitSignal(window.closed):
            window.close()

    run(scenario())
    assert window.view.drafts.current is None


def leave_unsaved(window: MainWindow) -> None:
    """As a run that ends without closing its document: its lock goes, its copy stays."""
    window.view.page.insertPlainText("Not saved.")
    window.view.document._recovery.write_now()
    window.view.document._store.submit(lambda: None).result()
    window.view.document._store._lock = None


def test_what_was_not_saved_is_offered_at_the_next_start(open_window: Open) -> None:
    dead = RecoveryStore()
    leave_unsaved(open_window())
    dead.close()
    later = open_window()
    later.start(None)
    assert "not saved" in later.offer.text
    later.offer.buttons[0].click()
    assert later.view.page.text() == "Not saved."
    assert later.view.page.document().isModified()


@pytest.mark.parametrize("thrown", [True, False])
def test_what_was_not_saved_is_thrown_away_for_who_says_it_twice(
    open_window: Open, qtbot: QtBot, thrown: bool
) -> None:
    leave_unsaved(open_window())
    later = open_window()
    later.start(None)
    later.offer.buttons[1].click()
    box = later.findChild(QMessageBox)
    assert box is not None
    answer = next(button for button in box.buttons() if button.text().startswith("Throw") is thrown)
    qtbot.mouseClick(answer, Qt.MouseButton.LeftButton)
    assert later.offer.isHidden() is thrown
    assert (later.view.document.left_behind() is None) is thrown
    assert later.view.page.text() == ""


def test_the_offer_outlives_other_messages_and_a_file_that_was_named(open_window: Open, file: Path) -> None:
    leave_unsaved(open_window())
    later = open_window()
    later.start(file)
    later.notice.show_message("A failure.")
    assert not later.offer.isVisible()  # one thing at a time
    later.notice.hide()
    assert later.offer.isVisible()
    later.offer.buttons[0].click()
    assert later.view.page.text() == "Not saved."
    assert later.offer.isHidden()


def test_saving_an_untitled_text_on_closing_closes(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.view.page.insertPlainText("x")
    window.close()
    box = window.findChild(QMessageBox)
    assert box is not None
    qtbot.mouseClick(box.button(QMessageBox.StandardButton.Save), Qt.MouseButton.LeftButton)
    dialog = window.findChild(QFileDialog)
    assert dialog is not None
    with qtbot.waitSignal(window.closed):
        dialog.fileSelected.emit(str(tmp_path / "saved.md"))
    assert (tmp_path / "saved.md").read_text(encoding="utf-8") == "x"


def test_a_file_held_by_another_window_is_told(open_window: Open, file: Path) -> None:
    first, second = open_window(), open_window()
    first.files.open_path(file)
    second.files.open_path(file)
    assert "another window" in second.notice.text
    assert second.notice.isVisible()


@pytest.mark.parametrize("name", ["no/such/folder.md", "n" * 300 + ".md"])
def test_a_place_that_cannot_be_saved_to_is_told_and_the_text_stays(
    window: MainWindow, tmp_path: Path, name: str
) -> None:
    window.view.page.insertPlainText("Dear text.")
    assert not window.files.save_to(tmp_path / name, anew=True)
    assert "could not be saved" in window.notice.text or "not there" in window.notice.text
    assert window.view.page.document().isModified()


def test_a_long_name_leaves_the_menus_in_view(window: MainWindow, tmp_path: Path) -> None:
    window.resize(1000, 700)
    long = tmp_path / ("word " * 40 + ".md")
    long.write_text("x", encoding="utf-8")
    window.files.open_path(long)
    QApplication.processEvents()
    menus = window.top.menus
    assert window.top.title.x() > menus.actionGeometry(menus.actions()[-1]).right()


@pytest.mark.parametrize("pixels", [14, 20])
def test_the_narrowest_window_shows_every_menu(window: MainWindow, tmp_path: Path, pixels: int) -> None:
    font = QApplication.font()
    font.setPixelSize(pixels)
    for part in window.top.findChildren(QWidget):
        part.setFont(font)
    named = tmp_path / "Letter to Clara about the summer house.md"
    named.write_text("x", encoding="utf-8")
    window.files.open_path(named)
    window.resize(1100 if pixels == 20 else 560, 500)
    window.resize(720 if pixels == 20 else 560, 500)
    QApplication.processEvents()
    bar = window.top.menus
    assert [action.text() for action in bar.actions() if bar.actionGeometry(action).isEmpty()] == []
    assert window.top.title.x() > bar.actionGeometry(bar.actions()[-1]).right()


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


def test_what_the_status_line_has_no_room_for_is_in_its_tooltip(window: MainWindow) -> None:
    window.resize(560, 500)
    window.status.state.setText("waiting for the model " * 5)
    window.status.state.details = "12 steps"
    window.status.grab()
    assert window.status.state.toolTip() == f"{window.status.state.text()}\n12 steps"
    window.status.state.setText("ready")
    window.status.grab()
    assert window.status.state.toolTip() == "12 steps"


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


def test_keys_pressed_in_the_settings_do_not_edit_the_page(window: MainWindow, qtbot: QtBot) -> None:
    set_document_text(window.view.page.document(), TEXT)
    window._settings.change(panel_open=True)
    slider = window.side_panel.panel.findChildren(QSlider)[0]
    slider.setFocus()
    for key in (Qt.Key.Key_A, Qt.Key.Key_X):
        qtbot.keyClick(slider, key, Qt.KeyboardModifier.ControlModifier)
    assert window.view.page.text() == TEXT
    window.view.page.setFocus()
    for key in (Qt.Key.Key_A, Qt.Key.Key_X):
        qtbot.keyClick(window.view.page, key, Qt.KeyboardModifier.ControlModifier)
    assert window.view.page.text() == ""


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


@pytest.mark.parametrize("by_key", [True, False])
def test_the_keys_go_back_to_the_page_once_a_notice_is_answered(
    window: MainWindow, qtbot: QtBot, by_key: bool
) -> None:
    window.welcome.show_message("There is a better model.", "", ("Not now", window.model_notices.hide_offer))
    button = window.welcome.buttons[0]
    if by_key:
        button.setFocus()
        qtbot.keyClick(button, Qt.Key.Key_Space)
    else:
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert window.welcome.isHidden()
    assert window.focusWidget() is window.view.page


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


def test_the_settings_take_the_keys_when_asked_for_by_a_key(window: MainWindow, qtbot: QtBot) -> None:
    window.panel_action.trigger()
    assert window.side_panel.panel.isAncestorOf(window.focusWidget())
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Escape)
    assert window.side_panel.panel.isHidden()
    assert window.focusWidget() is window.view.page


def test_the_window_gives_back_what_it_grew_for_the_settings(window: MainWindow) -> None:
    window.resize(560, 500)
    for wished, after in ((0, 560), (1000, 1000)):
        window.panel_action.trigger()
        QApplication.processEvents()
        assert window.width() > 560
        if wished:
            window.resize(wished, 500)
        window.panel_action.trigger()
        QApplication.processEvents()
        assert window.width() == after


def test_a_draft_in_a_markdown_file_is_set_off_by_a_blank_line(
    window: MainWindow, file: Path, tmp_path: Path
) -> None:
    document = window.view.page.document()
    window.files.open_path(file)
    set_document_text(document, "He left.")
    assert text_context(document, 8).join.separator == "\n\n"
    window.view.document.save(tmp_path / "ferry.txt")
    assert text_context(document, 8).join.separator is None


def test_the_words_of_an_opened_text_are_counted_at_once(window: MainWindow, file: Path) -> None:
    window.files.open_path(file)
    assert window.status.words.text() == f"{len(TEXT.split()) - 1} words"  # 🌊 is none
    window.files.new()
    assert window.status.words.text() == "0 words"


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
    window._settings.change(font_size_px=size_px)
    window.resize(700, 600)
    set_document_text(window.view.page.document(), "\n".join(("long " * 60, short, "long " * 60)))
    put_caret(window.view.page, 300 + 1 + len(short))
    window.view.page.setFocus()
    QApplication.processEvents()
    assert window.view.button.isVisible() is shown


def test_messages_stand_under_the_column(window: MainWindow) -> None:
    window.resize(1300, 700)
    window.notice.show_message("The disk is full.", "Make room on it.")
    QApplication.processEvents()
    page, notice = window.view.page.viewport(), window.notice
    middles = [part.mapTo(window, part.rect().center()).x() for part in (page, notice)]
    assert abs(middles[0] - middles[1]) <= 8
    assert notice.width() == 720


def test_messages_hide_no_line_in_hand(window: MainWindow) -> None:
    page = window.view.page
    set_document_text(page.document(), "\n".join(f"Line {number}" for number in range(60)))
    page.setTextCursor(page.cursorForPosition(QPoint(0, page.viewport().height() - 20)))
    assert page.viewport().rect().contains(page.cursorRect())
    height = page.viewport().height()
    window.notice.show_message("The disk is full.", "Make room on it.")
    QApplication.processEvents()
    assert page.viewport().height() < height
    assert page.viewport().rect().contains(page.cursorRect())
    moved = page.verticalScrollBar().value()
    window.notice.hide()
    QApplication.processEvents()
    assert page.viewport().height() == height
    assert page.verticalScrollBar().value() == moved


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


def test_every_control_has_a_name(window: MainWindow) -> None:
    controls: list[QWidget] = [*window.findChildren(QAbstractButton), *window.findChildren(QSlider)]
    ours = [control for control in controls if not control.objectName().startswith("qt_")]
    assert len(ours) > 10
    assert [control for control in ours if not _name(control)] == []


def _name(control: QWidget) -> str:
    return control.accessibleName() or (control.text() if isinstance(control, QAbstractButton) else "")


def test_a_screen_reader_says_what_is_written(window: MainWindow, run: Run) -> None:
    window.notice.show_message("The disk is full.", "Make room on it.")
    run(settle(window))
    window.status.word_count.count()
    said = [
        QAccessible.queryAccessibleInterface(label).text(QAccessible.Text.Name)
        for label in window.findChildren(QLabel)
        if label.text()
    ]
    assert "The disk is full. Make room on it." in said
    status, bar = window.status, window.view.bar
    texts = [
        label.text() for label in (status.model, status.state, status.words, bar.label, window.top.title)
    ]
    assert all(texts)
    assert set(texts) <= set(said)


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


def test_settings_are_applied_at_once(window: MainWindow) -> None:
    window._settings.change(font_size_px=30, theme="dark", panel_open=True)
    assert window.view.page.font().pixelSize() == 30
    assert window.view.page.theme.name == "dark"
    assert window.side_panel.panel.isVisible()
    assert window.side_panel.panel.geometry().left() >= window.view.page.geometry().right()
    window.view_menu.zoom(-1)
    assert window.view.page.font().pixelSize() == 28


def test_another_theme_keeps_the_size_of_the_letters(window: MainWindow) -> None:
    window.view_menu.zoom(1)
    size = window._settings.current.font_size_px
    for theme in ("dark", "sepia", "light"):
        window._settings.change(theme=theme)
        assert window.view.page.font().pixelSize() == size
        assert window.view.page.document().defaultFont().pixelSize() == size


def test_the_status_line_counts_words_and_proves_the_device(window: MainWindow, run: Run) -> None:
    set_document_text(window.view.page.document(), "one two\nthree")
    window.status.word_count.count()
    assert window.status.words.text() == "3 words"
    run(settle(window))
    assert window.status.model.text().endswith(" · on this computer")
    assert "CPU" in window.status.model.details
    assert window.status.state.text() == "draft ready"
    assert "3 steps" in window.status.state.details


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


def test_the_command_line(qapp: QApplication) -> None:
    options = parse(["notes.md", "--in-thread", "--device", "cuda:1", "--model", "/models/x"])
    assert (options.file, options.in_thread) == (Path("notes.md"), True)
    assert (options.device, options.model) == ("cuda:1", "/models/x")
    with pytest.raises(SystemExit) as ended:
        parse(["--no-such-thing"])
    assert ended.value.code == 2


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


def test_a_file_that_is_dropped_is_opened(window: MainWindow, file: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    data.setText(file.as_uri())
    window.view.page.insertFromMimeData(data)
    assert window.view.document.path == file
    assert file.as_uri() not in window.view.page.text()


def test_redo_puts_the_caret_behind_a_kept_draft(window: MainWindow, run: Run) -> None:
    run(settle(window))
    window.view.commands.keep()
    page = window.view.page
    behind = page.textCursor().position()
    page.undo()
    page.redo()
    assert page.textCursor().position() == behind


def test_a_file_whose_lines_end_within_words_says_so(window: MainWindow, file: Path) -> None:
    file.write_text("x" * 12_345, encoding="utf-8")
    window.files.open_path(file)
    assert not window.notice.isHidden()
    assert "12,345" in window.notice.text
