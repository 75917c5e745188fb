"""What goes into the prompt is shown beside the text, before a draft and for the one that is shown."""

from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication

from app.documents.text import text_between, utf16_length
from app.drafting.draft_session import DraftState
from app.provenance.sent_text import SentText
from app.window.main_window import MainWindow
from tests.app.conftest import Emitted, Run
from tests.app.pages import END, TEXT, cursor_at, put_caret
from tests.app.window.conftest import settle

LONG = "".join(f"{number}. It rained all day 🌊.\n\n" for number in range(60))


def parts(window: MainWindow) -> list[str]:
    """What of the text the band is beside."""
    sent, document = window.view.sent.current, window.view.page.document()
    places = [(part.selectionStart(), part.selectionEnd()) for part in (sent.parts if sent else ())]
    return [text_between(document, *place) for place in places]


async def known(sent: SentText, emitted: Emitted) -> None:
    while sent.current is None:
        await emitted(sent.changed)


@pytest.fixture
def long(window: MainWindow, tmp_path: Path) -> MainWindow:
    file = tmp_path / "long.txt"
    file.write_text(LONG, encoding="utf-8")
    window.files.open_path(file)
    put_caret(window.view.page, window.view.page.document().characterCount())
    return window


def test_of_a_draft_it_is_what_went(long: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        assert parts(long) == []
        await settle(long)
        assert parts(long) == [LONG[-400:]]
        cursor_at(long.view.page, 0).insertText("Before. ")
        assert parts(long) == [LONG[-400:]]
        long.view.drafts.discard_all()
        assert parts(long) == []
        long.view.commands.bring_back()
        assert parts(long) == [LONG[-400:]]

    run(scenario())


def test_a_line_in_the_margin_stands_beside_it(window: MainWindow, run: Run, file: Path) -> None:
    page = window.view.page

    def margin() -> list[int]:
        image = page.viewport().grab().toImage()
        return [image.pixel(7, y) for y in range(0, int(page.cursorRect().bottom()), 4)]

    async def scenario() -> None:
        window.files.open_path(file)
        put_caret(page, END)
        bare = set(margin())
        assert len(bare) == 1
        await settle(window)
        line = set(margin())
        assert len(line - bare) == 1
        window.view.drafts.discard_all()
        assert set(margin()) == bare

    run(scenario())


def test_before_a_draft_it_is_told_on_demand(long: MainWindow, run: Run, emitted: Emitted) -> None:
    async def scenario() -> None:
        sent, page = long.view.sent, long.view.page
        long.model.load()
        assert await long.model.ensure_loaded()
        long.side_panel.open_prompt()
        await known(sent, emitted)
        prompt = long.side_panel.prompt_page
        assert parts(long) == [LONG[-400:]] == [prompt.text.toPlainText()]
        assert "80 tokens of at most 88" in prompt.facts.text()
        assert f"The first {utf16_length(LONG[:-400]):,} characters" in prompt.facts.text()
        put_caret(page, 12)
        while parts(long) != [LONG[:12], LONG[12:52]]:
            await emitted(sent.changed)
        long.side_panel.open_settings(False)
        assert parts(long) == []

    run(scenario())


def test_what_is_selected_is_all_that_is_given(
    window: MainWindow, run: Run, emitted: Emitted, file: Path
) -> None:
    async def scenario() -> None:
        window.files.open_path(file)
        assert await window.model.ensure_loaded()
        cursor = cursor_at(window.view.page, 4)
        cursor.setPosition(25, cursor.MoveMode.KeepAnchor)
        window.view.page.setTextCursor(cursor)
        window.side_panel.open_prompt()
        await known(window.view.sent, emitted)
        assert parts(window) == [TEXT[4:25]]
        await settle(window)
        assert parts(window) == [TEXT[4:25]]

    run(scenario())


def test_an_empty_text_has_nothing_to_send(window: MainWindow, run: Run, emitted: Emitted) -> None:
    async def scenario() -> None:
        assert await window.model.ensure_loaded()
        window.side_panel.open_prompt()
        await known(window.view.sent, emitted)
        assert parts(window) == []
        assert "no text before the caret" in window.side_panel.prompt_page.facts.text()

    run(scenario())


def test_without_a_model_it_is_not_known(window: MainWindow) -> None:
    window.side_panel.open_prompt()
    assert "until a model is loaded" in window.side_panel.prompt_page.facts.text()


def test_the_prompt_is_searched_and_copied(long: MainWindow, run: Run) -> None:
    async def scenario() -> None:
        await settle(long)
        long.side_panel.open_prompt()

    run(scenario())
    prompt = long.side_panel.prompt_page
    prompt.copy.click()
    assert QGuiApplication.clipboard().text() == LONG[-400:]
    prompt.search.setText("rained")
    places = set()
    for _ in range(40):
        prompt.search.returnPressed.emit()
        places.add(prompt.text.textCursor().selectionStart())
    assert len(places) == LONG[-400:].count("rained")


def test_each_of_several_drafts_has_its_own(
    window: MainWindow, run: Run, emitted: Emitted, tmp_path: Path
) -> None:
    file = tmp_path / "gaps.txt"
    file.write_text("One.\n\n[[a]]\n\nTwo.\n\n[[b]]\n", encoding="utf-8")

    async def scenario() -> None:
        window.files.open_path(file)
        window.view.commands.draft_all_gaps()
        drafts = window.view.drafts
        while any(draft.state is not DraftState.SETTLED for draft in drafts.overlays):
            await emitted(drafts.changed)
        first, second = drafts.overlays
        drafts.go_to_draft(first)
        assert parts(window)[0] == "One.\n\n"
        drafts.go_to_draft(second)
        assert parts(window)[0] == "One.\n\n[[a]]\n\nTwo.\n\n"

    run(scenario())
