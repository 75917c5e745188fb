"""Whatever is done to a text, what was drafted is known: here that is what is in small letters. What is in
digits came from elsewhere.
"""

import random
from collections.abc import Callable

import pytest
from PySide6.QtCore import QMimeData
from PySide6.QtGui import QInputMethodEvent, QTextCursor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.documents.text import cursor_over, text_between, utf16_length
from app.editor.page import Page
from app.provenance.clipboard import ClipboardWords
from app.provenance.paragraphs import UNKNOWN, Run
from app.provenance.tracker import Provenance
from tests.app.pages import make_page


def owned_by(owner: str, page: Page, provenance: Provenance) -> list[str]:
    """Paragraph by paragraph."""
    found, block = [], page.document().firstBlock()
    while block.isValid():
        for run in provenance.of(block.blockNumber()).runs:
            if run.owner != owner:
                continue
            found.append(
                text_between(page.document(), block.position() + run.start, block.position() + run.end)
            )
        block = block.next()
    return found


def made_of(chars: str, page: Page) -> list[str]:
    found = "".join(char if char in chars else "\n" for char in page.text())
    return [part for part in found.split("\n") if part]


def from_elsewhere(text: str) -> QMimeData:
    data = QMimeData()
    data.setText(text)
    return data


@pytest.fixture
def page(qtbot: QtBot) -> Page:
    page = make_page(qtbot)
    page.setPlainText("")
    return page


@pytest.fixture
def provenance(page: Page) -> Provenance:
    provenance = Provenance(page.document())
    ClipboardWords(page, provenance)
    return provenance


class Writer:
    """Does at random what a writer does. Upper case and signs are the writer's."""

    def __init__(self, page: Page, provenance: Provenance, seed: int) -> None:
        self.page, self.provenance, self.random = page, provenance, random.Random(seed)
        self.copied = from_elsewhere("7")

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

    def compose(self) -> None:
        """With an input method."""
        self.page.setTextCursor(self.selection())
        event = QInputMethodEvent("ka", [])
        QApplication.sendEvent(self.page, event)
        event = QInputMethodEvent("", [])
        event.setCommitString(self.text("AB #"))
        QApplication.sendEvent(self.page, event)

    def delete(self) -> None:
        self.selection().removeSelectedText()

    def keep(self) -> None:
        text = self.text("abé🦊")
        cursor = self.selection()
        self.put(cursor, text, [Run(0, utf16_length(text), "M")])

    def copy(self) -> None:
        self.page.setTextCursor(self.selection())
        if self.page.textCursor().hasSelection():
            self.copied = self.page.createMimeDataFromSelection()
            if self.random.random() < 0.5:
                self.page.textCursor().removeSelectedText()

    def paste(self) -> None:
        self.page.setTextCursor(self.selection())
        self.page.insertFromMimeData(self.copied)

    def paste_from_elsewhere(self) -> None:
        self.page.setTextCursor(self.selection())
        self.page.insertFromMimeData(from_elsewhere(self.text("78\n")))

    def drag(self) -> None:
        """As Qt does it within a page."""
        target = cursor_over(self.page.document(), self.place())
        cursor = self.selection()
        if self.is_half(target.position()) or not cursor.hasSelection():
            return
        self.page.setTextCursor(cursor)
        data = self.page.createMimeDataFromSelection()
        self.page.taking_out.emit()
        target.beginEditBlock()
        self.page.textCursor().removeSelectedText()
        self.page.setTextCursor(target)
        self.page.insertFromMimeData(data)
        target.endEditBlock()

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
            *(self.type, self.compose, self.delete, self.keep, self.copy, self.paste, self.replace_all),
            *(self.paste_from_elsewhere, self.drag),
            *(self.undo, self.undo, self.redo, self.redo),
        ]
        act = self.random.choice(acts)
        act()
        return act.__name__


@pytest.mark.parametrize("seed", range(30))
def test_what_is_drafted_is_known_whatever_is_done(page: Page, provenance: Provenance, seed: int) -> None:
    writer, acts = Writer(page, provenance, seed), []
    for _ in range(25):
        acts.append(writer.act())
        assert owned_by("M", page, provenance) == made_of("abé🦊", page), acts
        assert owned_by(UNKNOWN, page, provenance) == made_of("78", page), acts
