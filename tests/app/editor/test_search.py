"""What is found in a document, and what replaces it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QObject
from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QApplication, QPlainTextDocumentLayout
from pytestqt.qtbot import QtBot

from app.documents.text import document_text, set_document_text, utf16_length
from app.editor.anchor import Anchor
from app.editor.search import TOO_SLOW, Query, Replacement, Search


@pytest.fixture
def document(qapp: QApplication) -> QTextDocument:
    document = QTextDocument()
    document.setDocumentLayout(QPlainTextDocumentLayout(document))
    return document


@pytest.fixture
def owner() -> QObject:
    return QObject()


def begin(
    document: QTextDocument, owner: QObject, text: str, query: Query, scope: tuple[int, int] | None = None
) -> Search:
    set_document_text(document, text)
    search = Search(document, owner)
    cursor = QTextCursor(document)
    if scope:
        cursor.setPosition(scope[0])
        cursor.setPosition(scope[1], QTextCursor.MoveMode.KeepAnchor)
    search.begin(query, cursor if scope else None)
    return search


def cursor_at(document: QTextDocument, position: int) -> QTextCursor:
    cursor = QTextCursor(document)
    cursor.setPosition(position)
    return cursor


def spans(search: Search) -> list[tuple[int, int]]:
    search.last_before(0)  # finds all of them
    return list(zip(search.starts, search.ends, strict=True))


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("Sea, sea, seal", Query("sea"), [(0, 3), (5, 8), (10, 13)]),
        ("Sea, sea, seal", Query("sea", match_case=True), [(5, 8), (10, 13)]),
        ("Sea, sea, seal", Query("sea", whole_words=True), [(0, 3), (5, 8)]),
        ("Über ÜBER", Query("über"), [(0, 4), (5, 9)]),
        ("caf\u00e9 cafe\u0301s cafe", Query("cafe", whole_words=True), [(12, 16)]),
        ("🌊 a 🌊🦊", Query("🦊"), [(7, 9)]),
        ("🌊 a", Query("."), []),
        ("🌊 a", Query(".", is_pattern=True), [(0, 2), (2, 3), (3, 4)]),
        ("10\u00a0km, 10 km", Query("10 km"), [(0, 5), (7, 12)]),
        ("10\u00a0km, 10 km", Query("10\u00a0km"), [(0, 5)]),
        ("one\ntwo\none\ntwo", Query("e\nt"), [(2, 5), (10, 13)]),
        ("one\ntwo\none\ntwo", Query("^t.*$", is_pattern=True), [(4, 7), (12, 15)]),
        ("one\r\ntwo\n", Query("e\r\nt"), [(2, 5)]),
        ("a.b a\\ b", Query("a.b"), [(0, 3)]),
        ("a.b a\\ b", Query("a\\ b"), [(4, 8)]),
        ("aXb", Query("x*", is_pattern=True), [(1, 2)]),
        ("\ufeffsea", Query("sea"), [(1, 4)]),
        ("sea", Query(""), []),
        ("a+b", Query("a)(b", is_pattern=True), []),
    ],
)
def test_matches_are_places_in_utf16(
    document: QTextDocument, owner: QObject, text: str, query: Query, expected: list[tuple[int, int]]
) -> None:
    assert spans(begin(document, owner, text, query)) == expected


def test_a_search_goes_round_and_keeps_to_its_scope(document: QTextDocument, owner: QObject) -> None:
    search = begin(document, owner, "sea sea sea sea", Query("sea"), scope=(2, 13))
    assert spans(search) == [(4, 7), (8, 11)]
    assert search.next_from(0) == (4, 7)
    assert search.next_from(5) == (8, 11)
    assert search.next_from(9) == (4, 7)
    assert search.last_before(8) == (4, 7)
    assert search.last_before(4) == (8, 11)


@pytest.mark.parametrize(
    ("query", "replacement", "expected"),
    [
        (Query("sea"), "\\1$1", "The \\1$1, the \\1$1.\r\nEnd 🌊\n"),
        (Query(r"(\w+) sea|(🌊)", is_pattern=True), r"[\1\2]", "[The], [the].\r\nEnd [🌊]\n"),
        (Query(r"(s)ea", is_pattern=True), r"\$$1\\\n", "The $s\\\r\n, the $s\\\r\n.\r\nEnd 🌊\n"),
        (Query("sea"), "", "The , the .\r\nEnd 🌊\n"),
        (Query("."), "🦊\u00a0", "The sea, the sea🦊\u00a0\r\nEnd 🌊\n"),
    ],
)
def test_replace_all_is_one_undo_step_and_keeps_line_ends(
    document: QTextDocument, owner: QObject, query: Query, replacement: str, expected: str
) -> None:
    text = "The sea, the sea.\r\nEnd 🌊\n"
    search = begin(document, owner, text, query)
    search.replace_all(replacement)
    assert document_text(document).replace("\r\n", "\n") == expected.replace("\r\n", "\n")
    document.undo()
    assert document_text(document) == text
    assert not document.isUndoAvailable()


WORDS = st.lists(st.sampled_from(["sea", "Sea", "a", " ", "🌊", "\n"]), max_size=30).map("".join)


@given(WORDS, st.sampled_from(["", "ocean", "🌊\n", "sea"]), st.booleans())
def test_replacing_in_slices_equals_a_plain_string(
    qapp: QApplication, text: str, put_in: str, sliced: bool
) -> None:
    document = QTextDocument()
    document.setDocumentLayout(QPlainTextDocumentLayout(document))
    owner = QObject()
    search = begin(document, owner, text, Query("sea"))
    found = spans(search)
    anchors = [Anchor(cursor_at(document, position)) for position in range(utf16_length(text) + 1)]
    before = [anchor.cursor.position() for anchor in anchors]
    with pytest.MonkeyPatch.context() as patch:
        if sliced:
            patch.setattr("app.editor.search.SLICE_S", -1)
        replacement = search.replace_all(put_in)
        while not replacement.is_over:
            replacement.go_on()
    grown = utf16_length(put_in) - 3

    def moved(position: int) -> int:
        inside = next((start for start, end in found if start < position < end), position)
        return inside + grown * sum(end <= inside for _, end in found)

    assert document_text(document) == re.sub("(?i)sea", put_in, text)
    assert [anchor.cursor.position() for anchor in anchors] == [moved(position) for position in before]
    assert replacement.count == len(found)
    if found:
        document.undo()
        assert not document.isUndoAvailable()
    assert document_text(document) == text
    assert [anchor.cursor.position() for anchor in anchors] == before


def sliced_replacement(
    document: QTextDocument, owner: QObject, monkeypatch: pytest.MonkeyPatch
) -> Replacement:
    monkeypatch.setattr("app.editor.search.SLICE_S", -1)
    replacement = begin(document, owner, "sea sea sea", Query("sea")).replace_all("ocean")
    while replacement.count < 2:
        replacement.go_on()
    assert document_text(document) == "sea ocean ocean"
    return replacement


def test_what_is_cancelled_had_not_begun(
    document: QTextDocument, owner: QObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    replacement = sliced_replacement(document, owner, monkeypatch)
    replacement.cancel()
    replacement.cancel()
    assert document_text(document) == "sea sea sea"
    assert replacement.is_over
    assert not replacement.is_complete


def test_another_edit_ends_it_and_is_a_step_of_its_own(
    document: QTextDocument, owner: QObject, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    replacement = sliced_replacement(document, owner, monkeypatch)
    QTextCursor(document).insertText("The ")
    assert replacement.is_over
    assert not replacement.is_complete
    QApplication.processEvents()
    for text in ("The sea ocean ocean", "sea ocean ocean", "sea sea sea"):
        assert document_text(document) == text
        document.undo()
    assert not document.isUndoAvailable()


def test_cursors_stay_at_their_side_of_what_is_replaced(document: QTextDocument, owner: QObject) -> None:
    search = begin(document, owner, "a sea b", Query("sea"))
    cursors = [QTextCursor(document) for _ in range(4)]
    for cursor, position in zip(cursors, (1, 2, 5, 7), strict=True):
        cursor.setPosition(position)
    assert search.replace((2, 5), "ocean")
    assert [cursor.position() for cursor in cursors] == [1, 2, 7, 9]
    assert not search.replace((0, 1), "x")  # no match


def test_a_bad_pattern_and_one_that_takes_for_ever_are_told(document: QTextDocument, owner: QObject) -> None:
    search = begin(document, owner, "a" * 60 + "b", Query("(a", is_pattern=True))
    assert spans(search) == []
    assert search.fault
    search.begin(Query("(a|aa)+$", is_pattern=True), None)
    assert spans(search) == []
    assert search.fault == TOO_SLOW
    search.begin(Query("a+", is_pattern=True), None)
    assert spans(search) == [(0, 60)]
    assert not search.fault


def test_with_a_pattern_that_takes_for_ever_nothing_is_replaced(
    document: QTextDocument, owner: QObject, qtbot: QtBot
) -> None:
    text = f"aab aab {'a' * 60}c aab"
    search = begin(document, owner, text, Query("(a|aa)+b", is_pattern=True))
    replacement = search.replace_all("x")
    qtbot.waitUntil(lambda: replacement.is_over)
    assert document_text(document) == text
    assert not replacement.is_complete


def test_many_matches_are_found_in_slices_and_anew_after_an_edit(
    document: QTextDocument, owner: QObject, qtbot: QtBot
) -> None:
    search = begin(document, owner, "sea " * 20_000, Query("sea"))
    with qtbot.waitSignal(search.changed):
        pass
    assert 0 < len(search.starts) < 20_000
    qtbot.waitUntil(lambda: search.is_complete)
    assert len(search.starts) == 20_000
    search.follows_edits = True
    QTextCursor(document).insertText("sea ")
    assert search.index_of(0, 3) is None  # not known yet
    qtbot.waitUntil(lambda: search.is_complete and not search.is_stale)
    assert len(search.starts) == 20_001
