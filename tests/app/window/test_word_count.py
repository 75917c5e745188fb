"""Words are counted by Unicode's boundaries, all of them and those that are selected."""

import math
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QPlainTextEdit
from pytestqt.qtbot import QtBot

from app.documents.words import count_words
from app.provenance.paragraphs import PLAIN, Paragraph, Run, paragraph
from app.window import word_count
from app.window.word_count import WordCount


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("The ferry was late.", 4),
        ("think—ten", 2),
        ("He thought … and left", 4),
        ("## Chapter One", 2),
        ("- milk", 1),
        ("-", 0),
        ("* * *", 0),
        ("___", 0),
        ("can’t, l'homme 1,000.50", 3),
        ("我們去公園散步", 7),
        ("彼は行った。", 5),
        ("그는 갔다", 2),
        ("वह गया।", 2),
        ("שלום לכם", 2),
        ("Τι είναι;", 2),
        ("เขาไป แล้ว", 2),
        ("ok 😀👩🏽‍🚀", 1),
    ],
)
def test_words_of_a_text(text: str, words: int) -> None:
    assert count_words(text) == words


@pytest.fixture
def page(qtbot: QtBot) -> QPlainTextEdit:
    page = QPlainTextEdit("One two three.\n\nFour five🌊six.\nSeven.")
    qtbot.addWidget(page)
    return page


OWNERS = Counter({"M": 4})


def _paragraphs() -> list[Paragraph]:
    """Of the page's, as if four words of the model were in them."""
    return [paragraph("one two three", [Run(0, 13, "M")]), PLAIN, paragraph("Seven.", [Run(0, 5, "M")])]


def _counts(page: QPlainTextEdit) -> list[tuple[int, int, Counter[str]]]:
    found: list[tuple[int, int, Counter[str]]] = []
    count = WordCount(page, _paragraphs, page)
    count.counted.connect(lambda *counts: found.append(counts))
    count.count()
    return found


@pytest.mark.parametrize(
    ("first", "last", "selected"),
    [(0, 0, 0), (0, 7, 2), (4, 20, 3), (0, 39, 7), (14, 16, 0), (16, 36, 4), (27, 21, 1), (31, 39, 1)],
)
def test_selected_words(
    page: QPlainTextEdit, monkeypatch: pytest.MonkeyPatch, first: int, last: int, selected: int
) -> None:
    monkeypatch.setattr(word_count, "SLICE_S", math.inf)
    cursor = page.textCursor()
    cursor.setPosition(first)
    cursor.setPosition(min(last, len(page.toPlainText()) + 1), QTextCursor.MoveMode.KeepAnchor)
    page.setTextCursor(cursor)
    assert _counts(page) == [(7, selected, OWNERS)]


def test_a_long_text_is_counted_in_slices(
    page: QPlainTextEdit, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_count, "SLICE_S", -1.0)
    count = WordCount(page, _paragraphs, page)
    with qtbot.waitSignal(count.counted) as counted:
        count.count()
        assert not counted.signal_triggered
    assert counted.args == [7, 0, OWNERS]


def test_an_edit_and_a_selection_are_counted_when_they_rest(page: QPlainTextEdit, qtbot: QtBot) -> None:
    count = WordCount(page, _paragraphs, page)
    count.count()
    with qtbot.waitSignal(count.counted) as counted:
        page.insertPlainText("And ")
    assert counted.args == [8, 0, OWNERS]
    with qtbot.waitSignal(count.counted) as counted:
        page.selectAll()
    assert counted.args == [8, 8, OWNERS]


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["put in", "take out", "undo", "redo", "count"]),
        st.integers(0, 30),
        st.integers(0, 12),
        st.sampled_from(["a", " b c\nd", "\n", "\n\n"]),
    ),
    max_size=12,
)


@given(edits=EDITS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_paragraphs_are_counted_anew_wherever_they_were_touched(
    page: QPlainTextEdit, monkeypatch: pytest.MonkeyPatch, edits: list[tuple[str, int, int, str]]
) -> None:
    monkeypatch.setattr(word_count, "SLICE_S", 0.0)  # a count may be interrupted by the next edit
    page.setPlainText("One two three.\n\nFour five.\nSix.")
    found: list[int] = []
    count = WordCount(page, _paragraphs, page)
    count.counted.connect(lambda words, *_: found.append(words))
    cursor = page.textCursor()
    for what, position, length, text in edits:
        end = page.document().characterCount() - 1
        cursor.setPosition(min(position, end))
        if what == "put in":
            cursor.insertText(text)
        elif what == "take out":
            cursor.setPosition(min(position + length, end), QTextCursor.MoveMode.KeepAnchor)
            cursor.removeSelectedText()
        elif what == "count":
            count.count()
        else:
            getattr(page, what)()
    monkeypatch.setattr(word_count, "SLICE_S", 10.0)
    count.count()
    assert found[-1] == count_words(page.toPlainText())
