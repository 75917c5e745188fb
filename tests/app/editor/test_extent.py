"""Where a draft that is to be a sentence or a paragraph ends."""

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.editor.draft_overlay import FRAME_INTERVAL_MS
from app.editor.extent import within
from engine.protocol.events import Token
from engine.protocol.requests import Extent
from tests.app.pages import END, begin, make_page
from tests.app.timers import let_pass


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        ("He left. ", "Then"),
        ("\n\nShe left!\n", "\nThen"),
        (" again. ", "Then"),
        (". Then she went. ", "And"),
        ("Dr. Smith came to J. B. Priestley. ", "Then she"),
        ("It cost 3.5 pounds. ", "Then"),
        ("“Why?” he asked. ", "Then"),
        ("„Er ging.“ ", "Dann kam"),
        ("他走了。", "她来了。"),
        (" वह गया। ", "फिर"),
        ("🌊 The sea. ", "Then 🦊."),
        ("Dear Ann,\n\nI write to you. ", "And"),
        ("One.", ""),
        ("nothing that ends\n\nhere", ""),
        ("", ""),
    ],
)
def test_a_sentence_ends_where_the_next_one_begins(first: str, rest: str) -> None:
    assert "".join(within("sentence", list(first + rest), len(first + rest))) == first


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        ("He left. She stayed.", "\nNext."),
        ("Dear Ann,\n\nI write to you. I do.", "\n\nBest wishes,\nAnn"),
        ("\n\nHe left.", "\n\n# Next"),
        ("# Head\n\nBody text. More.", " \n \nNext"),
        ("- one.\n- two.", "\n\nText"),
        ("The list:\n\n- a\n- b", ""),
        ("```\nOne is here.\n\nTwo is here.\n```", "\nText"),
        ("他走了。", "\n她来了。"),
        ("One.\n\n", ""),
    ],
)
def test_a_paragraph_ends_at_its_break(first: str, rest: str) -> None:
    assert "".join(within("paragraph", list(first + rest), len(first + rest))) == first


@pytest.mark.parametrize("extent", ["sentence", "paragraph", "paragraphs"])
def test_only_what_is_sure_ends_a_draft(extent: Extent) -> None:
    pieces = ["He", " left.", "\n\n", "Then", " xx"]
    assert within(extent, pieces, 3) == pieces
    ended = within(extent, pieces, 4)
    assert len(ended) == len(pieces)
    assert (ended == pieces) is (extent == "paragraphs")
    assert "".join(ended[:3]).strip() == "He left."


def test_what_will_be_cut_is_shown_until_that_is_certain(qtbot: QtBot) -> None:
    page = make_page(qtbot)
    draft = begin(page, END)
    draft.placement.extent = "sentence"

    def shown(sure: int) -> str:
        words = (" She", " left", ".", " Then", " it", " rained", ".")
        frame = [Token(word, 0.1 if at < sure else 4.0, at < sure, False) for at, word in enumerate(words)]
        draft.overlay.show(frame)
        let_pass(draft.overlay, FRAME_INTERVAL_MS)
        QApplication.processEvents()
        return "".join(draft.overlay.pieces).strip()

    assert shown(3) == "She left. Then it rained."
    assert shown(4) == draft.placement.shown(" She left. Then it rained.") == "She left."


@pytest.mark.parametrize("extent", ["sentence", "paragraph"])
def test_the_gap_does_not_grow_by_what_stands_behind_a_sentence_to_be(qtbot: QtBot, extent: Extent) -> None:
    page = make_page(qtbot)
    draft = begin(page, END, lines=2)
    draft.placement.extent = extent
    room = draft.overlay.geometry.gap.height
    draft.overlay.show([Token(" perhaps", 4.0, False, False)] + [Token(" word", 0.1, True, False)] * 120)
    let_pass(draft.overlay, FRAME_INTERVAL_MS)
    QApplication.processEvents()
    assert (draft.overlay.geometry.gap.height > room) is (extent == "paragraph")
