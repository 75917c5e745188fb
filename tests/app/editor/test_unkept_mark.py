"""How a draft that is not kept is marked, and one that was stopped."""

from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.editor.page import MARGIN_PX, Page
from app.widgets.theme import LIGHT
from engine.protocol.events import Token
from tests.app.pages import END, begin, make_page, put_caret


def colours_of(page: Page, left: int, right: int) -> list[str]:
    """Of the column's margin between two places, line by line of pixels: how it differs from the paper."""
    image, paper = page.viewport().grab().toImage(), QColor(LIGHT.paper).name()
    columns = range(left, right)
    found = {image.pixelColor(x, y).name() for x in columns for y in range(image.height())}
    return sorted(found - {paper})


def test_what_is_not_kept_has_a_quiet_mark_that_goes_with_keep(qtbot: QtBot) -> None:
    page = make_page(qtbot)
    put_caret(page, 0)
    QApplication.processEvents()
    before = colours_of(page, 0, MARGIN_PX - 2)
    draft = begin(page, END)
    draft.settle("It rained.")
    QApplication.processEvents()
    marked = {QColor(name).lightness() for name in colours_of(page, 0, MARGIN_PX - 2)} - {
        QColor(name).lightness() for name in before
    }
    paper = QColor(LIGHT.paper).lightness()
    assert min(marked) < paper - 30  # the rule
    assert paper - 20 < max(marked) < paper  # the tint
    draft.keep()
    put_caret(page, 0)
    QApplication.processEvents()
    assert colours_of(page, 0, MARGIN_PX - 2) == before


def test_a_stopped_draft_is_pale_where_it_is_unsure(qtbot: QtBot) -> None:
    darkest = []
    for entropy in (0.01, 6.0):
        page = make_page(qtbot, "")
        draft = begin(page, 0)
        draft.overlay.settle("xxxx", [Token("xxxx", entropy, False, False)])
        QApplication.processEvents()
        image = page.viewport().grab().toImage()
        places = [
            (x, y) for x in range(MARGIN_PX + 2, image.width() // 2) for y in range(image.height() // 6)
        ]
        darkest.append(min(image.pixelColor(x, y).lightness() for x, y in places))
    assert darkest[0] + 30 < darkest[1]
