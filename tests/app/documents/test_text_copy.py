"""A copy that is read piece by piece equals the text, whatever is done to that meanwhile."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QApplication, QPlainTextDocumentLayout

from app.documents import text_copy
from app.documents.text import document_text, set_document_text
from app.documents.text_copy import TextCopy

TEXTS = st.text(st.sampled_from("ab é🌊\n\r\u2028\u2029\ufeff\ufdd0\u0301\ud83c\udf0a"), max_size=30)


class Writer:
    """Does anything to a document, at any place of it: within a surrogate pair too."""

    def __init__(self, text: str) -> None:
        self.document = QTextDocument()
        self.document.setDocumentLayout(QPlainTextDocumentLayout(self.document))
        set_document_text(self.document, text)

    def act(self, choose: random.Random, text: str) -> None:
        act = choose.choice((self.edit, self.edit, self.edit_twice, self.undo, self.redo, self.open))
        act(choose, text)

    def edit(self, choose: random.Random, text: str) -> None:
        cursor = QTextCursor(self.document)
        last = self.document.characterCount() - 1
        cursor.setPosition(choose.randint(0, last))
        if choose.random() < 0.5:
            cursor.setPosition(choose.randint(0, last), QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(text)

    def edit_twice(self, choose: random.Random, text: str) -> None:
        cursor = QTextCursor(self.document)
        cursor.beginEditBlock()
        self.edit(choose, text)
        self.edit(choose, text[::-1])
        cursor.endEditBlock()

    def undo(self, _choose: random.Random, _text: str) -> None:
        self.document.undo()

    def redo(self, _choose: random.Random, _text: str) -> None:
        self.document.redo()

    def open(self, choose: random.Random, text: str) -> None:
        if choose.random() < 0.2:
            set_document_text(self.document, text)


def check(copy: TextCopy, writer: Writer) -> None:
    copy.read()
    assert "".join(copy.pieces()) == document_text(writer.document)


@given(TEXTS, st.lists(TEXTS, max_size=12), st.randoms(use_true_random=False))
def test_the_copy_equals_the_text(
    qapp: QApplication, text: str, texts: list[str], choose: random.Random
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_copy, "PIECE_UNITS", 3)
        writer = Writer(text)
        copy = TextCopy(writer.document)
        for put_in in texts:
            writer.act(choose, put_in)
            for _ in range(choose.randrange(5)):
                copy.read(0)
            if choose.random() < 0.3:
                check(copy, writer)
        check(copy, writer)


@pytest.mark.parametrize("units", [2, 3, 4])
def test_a_surrogate_pair_is_parted_and_joined(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, units: int
) -> None:
    monkeypatch.setattr(text_copy, "PIECE_UNITS", units)
    for position in range(13):
        writer = Writer("🌊" * 6)
        copy, cursor = TextCopy(writer.document), QTextCursor(writer.document)
        cursor.setPosition(position)
        copy.read()
        cursor.insertText("a")
        check(copy, writer)
        writer.document.undo()
        check(copy, writer)


def test_only_what_changed_is_read_anew(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_copy, "PIECE_UNITS", 10)
    writer = Writer("A line.\n" * 100)
    copy = TextCopy(writer.document)
    count = next(count for count in range(1000) if copy.read(0))
    assert count > 50
    cursor = QTextCursor(writer.document)
    cursor.setPosition(400)
    cursor.insertText("🌊")
    assert next(count for count in range(1000) if copy.read(0)) < 5
    assert "".join(copy.pieces()) == document_text(writer.document)
