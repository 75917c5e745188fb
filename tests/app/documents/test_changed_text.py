"""A text becomes another one as one undo step, and only what differs is touched."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QPlainTextDocumentLayout

from app.documents import differences as compared
from app.documents.differences import differences
from app.documents.text import change_document_text, document_text, set_document_text

LINE_ENDS = ["\n", "\r\n", "\r", "\u2029", "\ufdd0"]
PIECES = st.sampled_from(
    [*LINE_ENDS, "\u2028", "\u00a0", "\ufeff", "\ufffe", "\u0301", "🌊", "one", " ", "two"]
)
TEXTS = st.lists(PIECES).map("".join)


@pytest.mark.usefixtures("qapp")
@given(TEXTS, TEXTS)
@example("one", "one\r\ntwo")
@example("one\ntwo", "one\r\ntwo")
@example("one\n", "\n\ufeffone\n")
@example("🌊one", "🌊\u0301two")
def test_any_text_becomes_any_other_and_goes_back(old: str, new: str) -> None:
    document = QTextDocument()
    document.setDocumentLayout(QPlainTextDocumentLayout(document))
    set_document_text(document, old)
    change_document_text(document, new)
    assert document_text(document) == new
    document.undo()
    assert document_text(document) == old
    assert not document.isUndoAvailable()
    document.redo()
    assert document_text(document) == new


@given(TEXTS, TEXTS)
def test_the_differences_make_up_both_texts(old: str, new: str) -> None:
    pairs = differences(old, new)
    assert "".join(piece for piece, _ in pairs) == old
    assert "".join(piece for _, piece in pairs) == new


def test_only_words_that_differ_are_told_to_differ() -> None:
    old = "A line.\nThe ferry was late again, and cold.\nThe end."
    new = "The ferry is late again, and very cold.\nThe end.\nMore."
    assert [pair for pair in differences(old, new) if pair[0] != pair[1]] == [
        ("A line.\n", ""),
        ("was", "is"),
        ("", "very "),
        ("", ".\nMore"),
    ]


def test_texts_too_long_to_compare_are_one_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "_MOST_PIECES", 5)
    assert differences("a\nb\nc\nd\ne\nf", "a\n1\n2\n3\n4\nf") == [
        ("a\n", "a\n"),
        ("b\nc\nd\ne", "1\n2\n3\n4"),
        ("\nf", "\nf"),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("one |two three", "zero\none |two four"),
        ("one\n\n|two\nthree", "\n\n|two\n"),
        ("a b c |d e f", "A b c |d e F"),
        ("🌊 a\r\n|b", "🌊🌊 a\r\n|b"),
    ],
)
def test_a_cursor_stays_where_it_was_in_the_text(old: str, new: str) -> None:
    document = QTextDocument()
    set_document_text(document, old.replace("|", ""))
    cursor = QTextCursor(document)
    cursor.setPosition(len(old.partition("|")[0].replace("\r", "").encode("utf-16-le")) // 2)
    change_document_text(document, new.replace("|", ""))
    assert cursor.position() == len(new.partition("|")[0].replace("\r", "").encode("utf-16-le")) // 2
