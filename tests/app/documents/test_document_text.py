"""Text into a document and out of it: every line keeps its own ending."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QApplication, QPlainTextEdit
from pytestqt.qtbot import QtBot

from app.documents.text import document_text, set_document_text

LINE_ENDS = [
    "\n",
    "\r\n",
    "\r",
    "\u2028",
    "\u2029",
    "\ufdd0",
    "\ufdd1",
    "\u00a0",
    "\x0b",
    "\x0c",
    "\x85",
    "\ufffc",
]
ANY_TEXT = st.lists(
    st.sampled_from(LINE_ENDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)


@given(ANY_TEXT.map("".join))
@example("\ufeffone\r\ntwo\n")
@example("\ufffeone")
@example("\u0301one")
@example("\u200done")
def test_text_survives_the_document(text: str) -> None:
    document = QTextDocument()
    set_document_text(document, text)
    assert document_text(document) == text
    assert not document.isModified()
    assert not document.isUndoAvailable()


@pytest.mark.parametrize("text", ["a\r\nb\nc\u00a0d\u2029e", "\r\n\n", "one\u00a0two\r\nthree"])
def test_edit_undo_and_redo_keep_all_line_ends(qtbot: QtBot, text: str) -> None:
    edit = QPlainTextEdit()
    qtbot.addWidget(edit)
    document = edit.document()
    set_document_text(document, text)
    cursor = QTextCursor(document)
    cursor.select(QTextCursor.SelectionType.Document)
    cursor.insertText("gone")
    assert document_text(document) == "gone"
    document.undo()
    assert document_text(document) == text
    cursor.movePosition(QTextCursor.MoveOperation.End)
    cursor.insertText("!")
    assert document_text(document) == text + "!"


EDITS = st.lists(
    st.tuples(
        st.integers(0, 20), st.integers(0, 8), st.sampled_from(["", "x", "\n", "y\nz\n"]), st.booleans()
    )
)


@given(edits=EDITS)
def test_line_ends_come_back_with_any_edits_that_are_undone_and_redone(
    qapp: QApplication, edits: list[tuple[int, int, str, bool]]
) -> None:
    edit = QPlainTextEdit()
    document, text = edit.document(), "one\r\n\ntwo\nthree\r\r\nfour\n"
    set_document_text(document, text)
    for position, length, put_in, is_read in edits:
        cursor, end = QTextCursor(document), document.characterCount() - 1
        cursor.setPosition(min(position, end))
        cursor.setPosition(min(position + length, end), QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(put_in)
        if is_read:
            document_text(document)
    edited = document_text(document)
    while document.isUndoAvailable():
        document.undo()
    assert document_text(document) == text
    while document.isRedoAvailable():
        document.redo()
    assert document_text(document) == edited


def test_a_new_line_gets_the_files_line_end() -> None:
    document = QTextDocument()
    set_document_text(document, "one\r\ntwo")
    cursor = QTextCursor(document)
    cursor.insertText("zero\n")
    assert document_text(document) == "zero\r\none\r\ntwo"
