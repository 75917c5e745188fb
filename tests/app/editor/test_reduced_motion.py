"""Reduced motion: still lines where the draft will stand, and nothing moves."""

import pytest
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.widgets import resources
from app.widgets.theme import LIGHT, prose_font
from engine.protocol.events import Token
from tests.app.pages import Draft, begin, make_page, put_caret


def inked_rows(image: QImage, paper: QColor) -> list[int]:
    """Where each band of rows that hold more than paper begins and ends."""
    marked = [
        any(image.pixelColor(x, y) != paper for x in range(0, image.width(), 2))
        for y in range(image.height())
    ]
    return [y for y in range(1, len(marked)) if marked[y] != marked[y - 1]]


@pytest.mark.parametrize("face", ["DejaVu Serif", "DejaVu Sans Mono", "Vollkorn"])
@pytest.mark.parametrize("before", ["", "He left.", "The ferry"])
@pytest.mark.parametrize("again", [False, True])
def test_still_lines_stand_on_the_text_lines(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, face: str, before: str, again: bool
) -> None:
    """As letters without ascenders do; Retry keeps them there, whatever stood there before."""
    monkeypatch.setattr("app.editor.draft_overlay.paint_unkept", lambda *_: None)
    resources.load_fonts()
    page = make_page(qtbot, before)
    page.set_prose_font(prose_font(face, 22))
    page.setReadOnly(True)  # without a caret
    put_caret(page, len(before))
    draft, lines = Draft(page, len(before), 4, reduced_motion=True), 4
    if again:
        draft.settle(draft.placement.shown("One is here.\nTwo is here.\nThree is here.\nFour is here."))
        draft.overlay.restart()
        lines = 5
    draft.overlay.show([Token("Nobody\nsees\nthis\nfor\nnow.", 0.1, True, False)])
    column = draft.overlay.geometry.rect().toAlignedRect()
    column.setRight(column.left() + 300)
    paper = QColor(LIGHT.paper)
    still = inked_rows(page.viewport().grab(column).toImage(), paper)
    draft.settle(draft.placement.shown("x " * 1000))
    text = inked_rows(page.viewport().grab(column).toImage(), paper)
    first = 2 if before == "The ferry" else 0  # it stands beside these
    assert len(still[first:]) >= 2 * (lines - 1)
    for there, here in zip(still[first : 2 * lines], text[first : 2 * lines], strict=True):
        assert abs(there - here) <= 2


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("before", ["", "He left.", "The ferry"])
def test_what_stands_below_holds_still_on_retry(qtbot: QtBot, before: str, reduced: bool) -> None:
    page = make_page(qtbot, f"{before}\n\nBelow.")
    draft = begin(page, len(before), reduced_motion=reduced)
    draft.settle(draft.placement.shown("One is here.\n" * 9))
    QApplication.processEvents()
    below = page.block_top(page.document().lastBlock())
    draft.overlay.restart()
    draft.show("another one that is shorter")
    assert page.block_top(page.document().lastBlock()) == below


def test_motion_is_reduced_from_the_moment_that_the_writer_asks(qtbot: QtBot) -> None:
    page = make_page(qtbot, "")
    draft = begin(page, 0)
    draft.show("noise that sharpens")
    draft.overlay.set_reduced_motion(True)
    still = page.viewport().grab().toImage()
    draft.show("other noise that sharpens more and more")
    assert page.viewport().grab().toImage() == still
    draft.overlay.set_reduced_motion(False)
    draft.show("other noise that sharpens more and more")
    assert page.viewport().grab().toImage() != still
