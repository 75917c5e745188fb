"""A page in a window, and a draft in it without an engine."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QFont, QTextCursor
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.editor.draft_overlay import FRAME_INTERVAL_MS, DraftOverlay
from app.editor.page import Page
from app.editor.placement import Placement
from app.widgets.theme import LIGHT, palette
from engine.protocol.events import Token
from tests.app.timers import let_pass

TEXT = (
    "The ferry was late again. Clara sat on her suitcase at the end of the pier and watched the lights come "
    "on along the harbour, one window after another, as if somebody were walking through the town.\n"
    "“You could take the morning boat,” said the man from the ticket office.\n"
    "\n"
    "He had come out to lock the gate 🌊 and did not look at her while he spoke."
)
END = len(TEXT) + 1
"""The emoji counts twice in Qt's positions."""


def make_page(
    qtbot: QtBot, text: str = TEXT, height: int = 700, before_close: Callable[[QWidget], None] | None = None
) -> Page:
    font = QFont("DejaVu Serif")
    font.setPixelSize(18)
    page = Page(font)
    qtbot.addWidget(page, before_close_func=before_close)
    page.setPalette(palette(LIGHT))
    page.resize(900, height)
    set_document_text(page.document(), text)
    page.show()
    qtbot.waitExposed(page)
    return page


def cursor_at(page: Page, position: int) -> QTextCursor:
    cursor = QTextCursor(page.document())
    cursor.setPosition(min(position, page.document().characterCount() - 1))
    return cursor


def put_caret(page: Page, position: int) -> None:
    page.setTextCursor(cursor_at(page, position))


def tokens(words: str = "noise that sharpens", entropy: float = 3.0) -> tuple[Token, ...]:
    return tuple(Token(f" {word}", entropy, entropy < 1, False) for word in words.split())


with_company = False
"""Whether begin() opens two more drafts: under the next paragraph, and under the first one, which may be
above the view.
"""


class Draft:
    """A draft at a place of the page."""

    def __init__(self, page: Page, position: int, lines: int = 5, *, reduced_motion: bool = False) -> None:
        self.page = page
        self.placement = Placement(cursor_at(page, position))
        self.overlay = DraftOverlay(page, self.placement, lines, reduced_motion=reduced_motion)
        self._text = ""

    @property
    def position(self) -> int:
        return self.placement.cursor.position()

    def show(self, words: str = "noise that sharpens", entropy: float = 3.0) -> None:
        """A frame at once, however soon it comes after the last one."""
        self.overlay.show(tokens(words, entropy))
        let_pass(self.overlay, FRAME_INTERVAL_MS)

    def settle(self, text: str) -> None:
        self._text = text
        self.overlay.settle(text)

    def keep(self) -> None:
        """The caret goes behind it."""
        self.overlay.close()
        self.page.setTextCursor(self.placement.apply(self._text))


def begin(page: Page, position: int, lines: int = 5, *, reduced_motion: bool = False) -> Draft:
    """A draft that develops, with the caret at it."""
    put_caret(page, position)
    if with_company:
        here = page.document().findBlock(position)
        for block in {page.document().firstBlock().blockNumber(), here.blockNumber() + 1}:
            other = page.document().findBlockByNumber(block)
            if other.isValid() and other != here:
                Draft(page, other.position() + other.length() - 1, 3).show()
    draft = Draft(page, position, lines, reduced_motion=reduced_motion)
    draft.show()
    QApplication.processEvents()
    return draft
