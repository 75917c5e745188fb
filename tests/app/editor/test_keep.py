"""What is kept stands where it was seen, in one undo step, and changes nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text, utf16_length
from app.editor.draft_overlay import FRAME_INTERVAL_MS
from app.editor.page import Page
from engine.protocol.events import Token
from tests.app.editor.conftest import DRAFT, HEBREW, PLACES
from tests.app.pages import TEXT, Draft, begin, make_page, put_caret
from tests.app.timers import let_pass


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("position", PLACES)
@pytest.mark.parametrize("typed_before", ["", "x"])
def test_keep_is_one_undo_step_and_redo_brings_it_back(
    qtbot: QtBot, page: Page, position: int, typed_before: str
) -> None:
    put_caret(page, position)
    qtbot.keyClicks(page, typed_before)
    before = page.text()
    draft = begin(page, page.textCursor().position())
    draft.settle(DRAFT)
    draft.keep()
    kept = page.text()
    assert DRAFT in kept
    page.undo()
    assert page.text() == before
    page.redo()
    assert page.text() == kept


@pytest.mark.parametrize("text", ["One. Two.", "One.\n\nTwo.", "One two", "One.\nTwo.\n", "  One.\n  Two."])
@pytest.mark.parametrize("words", ["New.", "New one.\n\nNew two.", "and so on"])
def test_redo_puts_the_caret_behind_the_draft(qtbot: QtBot, text: str, words: str) -> None:
    page = make_page(qtbot, text)
    for place in range(len(text) + 1):
        draft = Draft(page, place)
        draft.settle(draft.placement.shown(words))
        draft.keep()
        behind = page.textCursor().position()
        page.undo()
        page.redo()
        assert page.textCursor().position() == behind
        page.undo()
        assert page.text() == text


def test_redo_puts_the_caret_behind_what_was_pasted(qtbot: QtBot) -> None:
    page = make_page(qtbot, "")
    page.insertPlainText("One.\n\n")
    page.undo()
    page.redo()
    assert page.textCursor().position() == len("One.\n\n")


@pytest.mark.parametrize("text", [TEXT, TEXT + " And then"])
def test_typing_behind_a_kept_draft_is_an_undo_step_of_its_own(qtbot: QtBot, text: str) -> None:
    page = make_page(qtbot, text)
    draft = begin(page, len(text) + 1)
    draft.settle(" it rained.")  # one line: Qt would merge typing into a lone insert
    draft.keep()
    kept = page.text()
    qtbot.keyClicks(page, " more")
    page.undo()
    assert page.text() == kept
    page.undo()
    assert page.text() == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (TEXT, "", DRAFT),
        (TEXT + "\n", "", DRAFT),
        (TEXT + " And then", "", f" {DRAFT}"),
        ("", "", DRAFT),
        ("", TEXT, DRAFT),
        ("", f"\n{TEXT}", DRAFT),
        ("    ", TEXT, DRAFT),
        ("One is here.\n", "Two is here.\nThree is here.", DRAFT),
        ("One is here.\n\n", "Two is here.\n\nThree is here.", DRAFT),
        ("One is here.\n\nTwo is here.\n", "\nThree is here.", DRAFT),
        ("One is here.\n\nTwo is here.\n\n", "\nThree is here.", DRAFT),
        ("One is here.\n\nTwo is here.", "\nThree is here.", DRAFT),
        (HEBREW, "", f" {HEBREW} {HEBREW} {HEBREW}.\n{HEBREW}."),
        (f"{HEBREW}.", "", f"{HEBREW}.\n{DRAFT}\n{HEBREW}."),
        ("He said", "", f" {HEBREW}."),
        ("", f"{HEBREW}.", f"{HEBREW} {HEBREW} {HEBREW}."),
    ],
)
def test_a_kept_draft_stands_where_the_settled_one_was_seen(
    qtbot: QtBot, before: str, after: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.editor.draft_overlay.paint_unkept", lambda *_: None)  # a kept one has no mark
    page = make_page(qtbot, before + after)
    page.setReadOnly(True)  # without a caret
    draft = begin(page, utf16_length(before), reduced_motion=True)
    draft.settle(draft.placement.shown(text))
    QApplication.processEvents()
    shown = draft.overlay.geometry.rect().toAlignedRect()
    shown.setTop(0)
    assert page.viewport().rect().contains(shown)
    settled = page.viewport().grab(shown).toImage()
    draft.keep()
    QApplication.processEvents()
    kept = page.viewport().grab(shown).toImage()
    assert settled == kept


PARAGRAPHS = [
    "",
    "",
    "  ",
    "One is here.",
    "Two, and then",
    "- Milk.",
    "# Title",
    "```",
    "Er sagte „ja“",
    HEBREW,
]


def test_keep_puts_in_what_was_shown_and_changes_nothing_else(qtbot: QtBot) -> None:
    page = make_page(qtbot)
    lines = st.lists(st.sampled_from(PARAGRAPHS), min_size=1, max_size=6)

    @settings(max_examples=60, deadline=None)
    @given(lines, st.integers(0, 90), st.lists(st.sampled_from([" then", "He", ".", "\n", "\n\n", " "])))
    def check(paragraphs: list[str], place: int, words: list[str]) -> None:
        text = "\n".join(paragraphs)
        place = min(place, len(text))
        set_document_text(page.document(), text)
        draft = Draft(page, place)
        draft.overlay.show([Token(word, 0.1, True, False) for word in words])
        let_pass(draft.overlay, FRAME_INTERVAL_MS)
        developing = "".join(draft.overlay.pieces)
        top = draft.overlay.geometry.origin_y()
        shown = draft.placement.shown("".join(words))
        draft.settle(shown)
        assert developing == shown
        assert draft.overlay.geometry.origin_y() == top
        lead = draft.placement.separator
        draft.keep()
        upto = text[:place] + lead + shown
        assert page.text().startswith(upto)
        assert page.textCursor().position() == len(upto)
        tail = page.text()[len(upto) :].removesuffix(text[place:])
        assert page.text() == upto + tail + text[place:]
        assert not tail.strip()
        page.undo()
        assert page.text() == text

    check()
