"""In the window: what was drafted is known, counted and tinted."""

import asyncio
import os
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData
from PySide6.QtGui import QColor, QGuiApplication

from app.documents.text import cursor_over, text_between
from app.drafting.verbs import REPHRASE
from app.editor.search import Query
from app.provenance.paragraphs import UNKNOWN
from app.window.main_window import MainWindow
from app.window.menus import ViewMenu
from engine.protocol.requests import Span
from tests.app.conftest import Emitted, Run
from tests.app.history.records import a_record
from tests.app.pages import END, TEXT, put_caret
from tests.app.window.conftest import settle
from tests.fakes import TEXT as DRAFT

MODEL = str(os.getpid())
"""As the fake engine calls it."""


@pytest.fixture
def ferry(window: MainWindow, file: Path) -> MainWindow:
    """The caret is at the end of the text."""
    window.files.open_path(file)
    put_caret(window.view.page, END)
    return window


def told(window: MainWindow) -> str:
    window.status.word_count.count()
    return f"{window.status.words.text()}, {window.status.words.toolTip()}"


def owned_by(window: MainWindow, owner: str = MODEL) -> list[str]:
    document, found = window.view.page.document(), []
    for number in range(document.blockCount()):
        at = document.findBlockByNumber(number).position()
        runs = [run for run in window.view.provenance.of(number).runs if run.owner == owner]
        found += [text_between(document, at + run.start, at + run.end) for run in runs]
    return found


def tinted_px(window: MainWindow) -> int:
    """Of the page: what is not bare."""
    image, paper = window.view.page.viewport().grab().toImage(), QColor(window.view.page.theme.paper).rgb()
    places = ((x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3))
    return sum(image.pixel(x, y) != paper for x, y in places)


def test_a_kept_draft_is_counted_until_it_is_undone(ferry: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(ferry)
        ferry.view.commands.keep()

    run(scenario())
    assert told(ferry) == "72 words, 7 % drafted"
    assert owned_by(ferry) == [DRAFT]
    ferry.view.page.undo()
    assert told(ferry) == "67 words, 0 % drafted"
    ferry.view.page.redo()
    assert told(ferry) == "72 words, 7 % drafted"


def test_the_tint_is_off_until_it_is_asked_for(ferry: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(ferry)
        ferry.view.commands.keep()

    run(scenario())
    before = tinted_px(ferry)
    (menu,) = ferry.findChildren(ViewMenu)
    (action,) = (one for one in menu.actions() if "drafted" in one.text())
    action.trigger()
    assert told(ferry) == "72 words · 7 % drafted, 7 % drafted"
    assert tinted_px(ferry) > before + 300
    action.trigger()
    assert tinted_px(ferry) == before


def test_a_part_that_is_kept_and_the_rest_kept_later(ferry: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(ferry)
        ferry.view.commands.keep_sentence()

    run(scenario())
    assert owned_by(ferry) == ["It rained."]
    ferry.view.page.insertPlainText(" And")
    ferry.view.commands.keep()
    assert "".join(owned_by(ferry)).replace(" ", "") == DRAFT.replace(" ", "")


def test_a_draft_that_is_brought_back_and_kept(ferry: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(ferry)
        ferry.view.drafts.discard_all()
        ferry.view.commands.bring_back()
        ferry.view.commands.keep()

    run(scenario())
    assert owned_by(ferry) == [DRAFT]


def test_all_gaps_kept_at_once(window: MainWindow, run: Run, emitted: Emitted, tmp_path: Path) -> None:
    file = tmp_path / "gaps.txt"
    file.write_text("🦊 One [[a]] two.\n\n[[b]]\n\nשלום\n", encoding="utf-8")

    async def scenario() -> None:
        window.files.open_path(file)
        window.view.commands.draft_all_gaps()
        while not all(draft.shown for draft in window.view.drafts.overlays):
            await emitted(window.view.drafts.changed)
        window.view.commands.keep_all()

    run(scenario())
    kept = [part.strip() for part in owned_by(window)]
    assert kept == [DRAFT, DRAFT]
    window.view.page.undo()
    assert owned_by(window) == []
    window.view.page.redo()
    assert [part.strip() for part in owned_by(window)] == kept


def test_of_a_passage_said_anew_the_words_that_stayed_are_the_writers(
    window: MainWindow, run: Run, emitted: Emitted, tmp_path: Path
) -> None:
    file = tmp_path / "said.txt"
    file.write_text("It rained all day. Émile read on.", encoding="utf-8")

    async def scenario() -> None:
        window.files.open_path(file)
        assert await window.model.ensure_loaded()
        window.view.page.selectAll()
        window.view.commands.redraft_selection(REPHRASE)
        while not (window.view.drafts.current and window.view.drafts.current.shown):
            await emitted(window.view.drafts.changed)
        window.view.commands.keep()

    run(scenario())
    assert window.view.page.text() == DRAFT  # “It rained. Émile read on 🦊.”
    assert "".join(owned_by(window)).strip() == "🦊"
    assert told(window).endswith("0 % drafted")


def test_words_that_are_copied_from_a_draft(ferry: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(ferry)
        draft = ferry.view.drafts.current
        assert draft
        assert draft.words
        draft.words.anchor, draft.words.head = 3, 3
        assert draft.words.selected == Span(3, 9)
        ferry.view.picking.copy()
        ferry.view.drafts.discard_all()

    run(scenario())
    put_caret(ferry.view.page, 0)
    ferry.view.page.paste()
    assert owned_by(ferry) == ["rained"]
    ferry.view.page.selectAll()
    ferry.view.page.cut()
    ferry.view.page.paste()
    assert owned_by(ferry) == ["rained"]
    assert ferry.view.page.text() == f"rained{TEXT}"


def test_what_comes_from_elsewhere_is_unknown(ferry: MainWindow) -> None:
    data = QMimeData()
    data.setText("Pasted\r\ntext 🦊")
    QGuiApplication.clipboard().setMimeData(data)
    ferry.view.page.paste()
    assert owned_by(ferry, UNKNOWN) == ["Pasted", "text 🦊"]
    assert told(ferry).endswith("0 % drafted")


def test_a_draft_of_the_history_is_no_writers(ferry: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        ferry.history.add(a_record("He waved.", model="Another"))
        ferry.side_panel.open_history()
        while not ferry.side_panel.history_drawer.details.record:
            await asyncio.sleep(0.002)

    run(scenario())
    details = ferry.side_panel.history_drawer.details
    details.insert.click()
    details.copy.click()
    put_caret(ferry.view.page, 0)
    ferry.view.page.paste()
    assert owned_by(ferry, "Another") == ["He waved.", "He waved."]


def test_words_that_are_replaced_are_the_writers(ferry: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(ferry)
        ferry.view.commands.keep()

    run(scenario())
    ferry.view.find_bar.search.begin(Query("read"), None)
    ferry.view.find_bar.search.replace_all("slept")
    assert owned_by(ferry) == ["It rained. Émile ", " on 🦊."]
    ferry.view.page.undo()
    assert owned_by(ferry) == [DRAFT]
    cursor_over(ferry.view.page.document(), 0, END - 1).removeSelectedText()
    assert owned_by(ferry) == [DRAFT]
