"""The window as a writer uses it: its size, messages, settings, status line, names."""

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible, QTextCursor
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QSlider, QWidget
from pytestqt.qtbot import QtBot

from app.application import parse
from app.documents.text import set_document_text
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import TEXT, put_caret
from tests.app.window.conftest import settle


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


def test_what_the_status_line_has_no_room_for_is_in_its_tooltip(window: MainWindow) -> None:
    window.resize(560, 500)
    window.status.state.setText("waiting for the model " * 5)
    window.status.state.details = "12 steps"
    window.status.grab()
    assert window.status.state.toolTip() == f"{window.status.state.text()}\n12 steps"
    window.status.state.setText("ready")
    window.status.grab()
    assert window.status.state.toolTip() == "12 steps"


def test_keys_pressed_in_the_settings_do_not_edit_the_page(window: MainWindow, qtbot: QtBot) -> None:
    set_document_text(window.view.page.document(), TEXT)
    window.settings.change(panel_open=True)
    slider = window.side_panel.panel.findChildren(QSlider)[0]
    slider.setFocus()
    for key in (Qt.Key.Key_A, Qt.Key.Key_X):
        qtbot.keyClick(slider, key, Qt.KeyboardModifier.ControlModifier)
    assert window.view.page.text() == TEXT
    window.view.page.setFocus()
    for key in (Qt.Key.Key_A, Qt.Key.Key_X):
        qtbot.keyClick(window.view.page, key, Qt.KeyboardModifier.ControlModifier)
    assert window.view.page.text() == ""


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


def test_settings_are_applied_at_once(window: MainWindow) -> None:
    window.settings.change(font_size_px=30, theme="dark", panel_open=True)
    assert window.view.page.font().pixelSize() == 30
    assert window.view.page.theme.name == "dark"
    assert window.side_panel.panel.isVisible()
    assert window.side_panel.panel.geometry().left() >= window.view.page.geometry().right()
    window.view_menu.zoom(-1)
    assert window.view.page.font().pixelSize() == 28


def test_another_theme_keeps_the_size_of_the_letters(window: MainWindow) -> None:
    window.view_menu.zoom(1)
    size = window.settings.current.font_size_px
    for theme in ("dark", "sepia", "light"):
        window.settings.change(theme=theme)
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


def test_the_status_line_tells_how_many_of_the_words_are_selected(window: MainWindow) -> None:
    set_document_text(window.view.page.document(), "one two\nthree")
    put_caret(window.view.page, 0)
    window.view.page.moveCursor(QTextCursor.MoveOperation.NextWord, QTextCursor.MoveMode.KeepAnchor)
    window.status.word_count.count()
    assert window.status.words.text() == "1 of 3 words"


def test_the_command_line(qapp: QApplication) -> None:
    options = parse(["notes.md", "--in-thread", "--device", "cuda:1", "--model", "/models/x"])
    assert (options.file, options.in_thread) == (Path("notes.md"), True)
    assert (options.device, options.model) == ("cuda:1", "/models/x")
    with pytest.raises(SystemExit) as ended:
        parse(["--no-such-thing"])
    assert ended.value.code == 2
