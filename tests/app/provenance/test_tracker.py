"""Whatever is done to a text, what was drafted is known: here that is what is in small letters."""

import random
from collections.abc import Callable

import pytest
from PySide6.QtGui import QTextCursor
from pytestqt.qtbot import QtBot

from app.documents.text import cursor_over, text_between, utf16_length
from app.editor.page import Page
from app.provenance.paragraphs import Run
from app.provenance.tracker import Provenance
from tests.app.pages import make_page


def drafted(page: Page, provenance: Provenance) -> list[str]:
    """What is drafted, paragraph by paragraph."""
    found, block = [], page.document().firstBlock()
    while block.isValid():
        for run in provenance.of(block.blockNumber()).runs:
            found.append(
                text_between(page.document(), block.position() + run.start, block.position() + run.end)
            )
        block = block.next()
    return found


def in_small_letters(page: Page) -> list[str]:
    found = "".join(char if char.islower() or char == "🦊" else "\n" for char in page.text())
    return [part for part in found.split("\n") if part]


@pytest.fixture
def page(qtbot: QtBot) -> Page:
    page = make_page(qtbot)
    page.setPlainText("")
    return page


@pytest.fixture
def provenance(page: Page) -> Provenance:
    return Provenance(page.document())


class Writer:
    """Does at random what a writer does. Upper case and signs are the writer's."""

    def __init__(self, page: Page, provenance: Provenance, seed: int) -> None:
        self.page, self.provenance, self.random = page, provenance, random.Random(seed)
        self.cut = ("", list[Run]())

    def place(self) -> int:
        return self.random.randrange(self.page.document().characterCount())

    def selection(self) -> QTextCursor:
        """Never half of a surrogate pair."""
        start, end = sorted((self.place(), self.place()))
        if self.random.random() < 0.7:
            end = min(end, start + 4)
        cursor = cursor_over(self.page.document(), start, end)
        for at in (start, end):
            if self.is_half(at):
                return cursor_over(self.page.document(), 0, 0)
        return cursor

    def is_half(self, at: int) -> bool:
        char = self.page.document().characterAt(at)
        return char.isascii() is False and 0xDC00 <= ord(char) < 0xE000

    def text(self, letters: str) -> str:
        return "".join(self.random.choice(letters) for _ in range(self.random.randrange(1, 5)))

    def put(self, cursor: QTextCursor, text: str, runs: list[Run]) -> None:
        self.provenance.replace(cursor.selectionStart(), cursor.selectionEnd(), text, runs)
        cursor.insertText(text)

    def type(self) -> None:
        cursor = self.selection()
        for char in self.text("AB \n#"):
            cursor.insertText(char)

    def delete(self) -> None:
        self.selection().removeSelectedText()

    def keep(self) -> None:
        text = self.text("abé🦊")
        cursor = self.selection()
        self.put(cursor, text, [Run(0, utf16_length(text), "M")])

    def copy(self) -> None:
        cursor = self.selection()
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        self.cut = text_between(self.page.document(), start, end), self.provenance.runs_between(start, end)
        if self.random.random() < 0.5:
            cursor.removeSelectedText()

    def paste(self) -> None:
        self.put(self.selection(), *self.cut)

    def replace_all(self) -> None:
        """Of a sign by others, from the last to the first, in one step."""
        cursor = QTextCursor(self.page.document())
        cursor.beginEditBlock()
        raw = self.page.document().toRawText().encode("utf-16-le", "surrogatepass")
        for at in range(len(raw) // 2 - 1, -1, -1):
            if raw[2 * at : 2 * at + 2].decode("utf-16-le", "replace") == "#":
                cursor.setPosition(at)
                cursor.setPosition(at + 1, QTextCursor.MoveMode.KeepAnchor)
                cursor.insertText("+*")
        cursor.endEditBlock()

    def undo(self) -> None:
        for _ in range(self.random.randrange(1, 4)):
            self.page.undo()

    def redo(self) -> None:
        for _ in range(self.random.randrange(1, 4)):
            self.page.redo()

    def act(self) -> str:
        acts: list[Callable[[], None]] = [
            *(self.type, self.delete, self.keep, self.copy, self.paste, self.replace_all),
            *(self.undo, self.undo, self.redo, self.redo),
        ]
        act = self.random.choice(acts)
        act()
        return act.__name__


@pytest.mark.parametrize("seed", range(40))
def test_what_is_drafted_is_known_whatever_is_done(page: Page, provenance: Provenance, seed: int) -> None:
    writer, acts = Writer(page, provenance, seed), []
    for _ in range(25):
        acts.append(writer.act())
        assert drafted(page, provenance) == in_small_letters(page), acts
