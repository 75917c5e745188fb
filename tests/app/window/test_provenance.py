"""In the window: what was drafted is known, counted and tinted."""

import os
from pathlib import Path

from PySide6.QtGui import QColor

from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.pages import END, put_caret
from tests.app.window.conftest import settle


def words(window: MainWindow) -> str:
    window.status.word_count.count()
    return window.status.words.text()


def tinted_px(window: MainWindow) -> int:
    """Of the page, where nothing is written."""
    page = window.view.page
    image, paper = page.viewport().grab().toImage(), QColor(page.theme.paper).rgb()
    middle = [image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)]
    return sum(pixel != paper for pixel in middle)


def test_a_kept_draft_is_counted_until_it_is_undone(window: MainWindow, run: Run, file: Path) -> None:
    async def scenario() -> None:
        window.files.open_path(file)
        put_caret(window.view.page, END)
        await settle(window)
        window.view.commands.keep()
        assert words(window) == "72 words"
        assert window.status.words.toolTip() == "7 % drafted"
        number = window.view.page.document().blockCount() - 1
        assert window.view.provenance.of(number).runs[0].owner == str(os.getpid())
        window.view.page.undo()
        words(window)
        assert window.status.words.toolTip() == "0 % drafted"
        window.view.page.redo()
        words(window)
        assert window.status.words.toolTip() == "7 % drafted"

    run(scenario())


def test_the_tint_is_off_until_it_is_asked_for(window: MainWindow, run: Run, file: Path) -> None:
    async def scenario() -> None:
        window.files.open_path(file)
        put_caret(window.view.page, END)
        await settle(window)
        window.view.commands.keep()
        before = tinted_px(window)
        (action,) = (one for one in window.view_menu.actions() if "drafted" in one.text())
        action.trigger()
        assert words(window) == "72 words · 7 % drafted"
        assert tinted_px(window) > before + 300
        action.trigger()
        assert tinted_px(window) == before

    run(scenario())
