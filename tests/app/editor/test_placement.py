"""A draft in the place of a passage: every byte outside of it stays."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QPlainTextDocumentLayout

from app.documents.text import document_text, set_document_text, text_between, utf16_length
from app.editor.placement import PassagePlacement, text_context

pytestmark = pytest.mark.usefixtures("qapp")
Edit = Callable[[QTextCursor, int, int], None]


def document_of(text: str) -> QTextDocument:
    document = QTextDocument()
    document.setDocumentLayout(QPlainTextDocumentLayout(document))
    set_document_text(document, text)
    return document


def cursor_of(document: QTextDocument, start: int, end: int) -> QTextCursor:
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    return cursor


def placed(before: str, passage: str, after: str) -> tuple[QTextDocument, PassagePlacement]:
    document = document_of(before + passage + after)
    start = utf16_length(before.replace("\r\n", "\n"))
    end = start + utf16_length(passage.replace("\r\n", "\n"))
    return document, PassagePlacement(cursor_of(document, start, end))


@pytest.mark.parametrize(
    ("before", "passage", "after", "draft", "kept"),
    [
        ("One. ", "Two.", " Three.", "Another.", "Another."),
        ("", "Two.", "", " Another. \n", "Another."),
        ("\ta  ", "b", "  c ", "x\ny", "x y"),
        ("a\r\nb\r\n", "c\r\nd", "\r\ne\r\n", "x\ny", "x\r\ny"),
        ("a\r\nb\n", "c", "\re\u2029f", "x", "x"),
        ("a\r\nb\n", "c\n\nd", "\re\u2029f", "x\n\ny", "x\n\ny"),
        ("a ", "one\n\ntwo", " b", "x\n\ny\r\nz", "x\n\ny\nz"),
        ("- ", "item", "\n- more", "- other", "- other"),
        ("שלום ", "עולם", " רב", "אחר", "אחר"),
        ("🦊", "🌊 so", "🦊", "né\u0301 🦊", "né\u0301 🦊"),
        ("\ufeffa ", "b", " \u00a0c", "x\0y", "xy"),
    ],
)
def test_what_is_around_a_kept_passage_stays(
    before: str, passage: str, after: str, draft: str, kept: str
) -> None:
    before = before.removeprefix("\ufeff")
    document, placement = placed(before, passage, after)
    behind = placement.apply(placement.shown(draft))
    assert document_text(document) == before + kept + after
    assert document.characterCount() - 1 - behind.position() == utf16_length(after.replace("\r\n", "\n"))
    QTextCursor(behind).insertText("typed")
    document.undo()
    assert document_text(document) == before + kept + after  # what is typed next is undone on its own
    document.undo()
    assert document_text(document) == before + passage + after
    assert not document.isUndoAvailable()
    document.redo()
    assert document_text(document) == before + kept + after


CHARS = st.text(alphabet="ab .\nשل字🦊é\u0301\u00a0\t", max_size=8)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(CHARS, CHARS, CHARS, CHARS, st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_text_around_any_passage_stays(
    before: str, passage: str, after: str, draft: str, end: str
) -> None:
    assume(any(map(str.isalnum, passage)) and any(map(str.isalnum, draft)))
    document = document_of((before + passage + after).replace("\n", end))
    start = utf16_length(before)
    placement = PassagePlacement(cursor_of(document, start, start + utf16_length(passage)))
    shown = placement.shown(draft)
    placement.apply(shown)
    ends = end if "\n" in before + passage + after else "\n"
    assert document_text(document) == before.replace("\n", ends) + shown.replace("\n", ends) + after.replace(
        "\n", ends
    )
    assert shown == shown.strip()
    assert "\n" in passage or "\n" not in shown
    document.undo()
    assert document_text(document) == (before + passage + after).replace("\n", end)


@given(st.lists(CHARS, max_size=6), st.booleans())
def test_pieces_are_the_text_as_it_is_kept(pieces: list[str], two_lines: bool) -> None:
    _, placement = placed("", "a\nb" if two_lines else "a", "")
    shown = placement.shown_pieces(pieces)
    assert len(shown) == len(pieces)
    assert "".join(shown) == placement.shown("".join(pieces))


def typed(offset: int, text: str) -> Edit:
    """offset: from the passage's start, or from its end if that is behind it."""

    def edit(cursor: QTextCursor, start: int, end: int) -> None:
        cursor.setPosition(start + offset if offset < 1 else end + offset - 1)
        cursor.insertText(text)

    return edit


def deleted(first: int, last: int) -> Edit:
    def edit(cursor: QTextCursor, start: int, end: int) -> None:
        cursor.setPosition(start + first)
        cursor.setPosition(end + last, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()

    return edit


@pytest.mark.parametrize(
    "edit", [typed(0, "x"), typed(1, "x"), typed(-2, "long\n"), typed(2, "\n\n"), typed(1, "\n")]
)
def test_edits_around_a_passage_leave_it(edit: Edit) -> None:
    document, placement = placed("One. ", "Two.", " Three.")
    edit(QTextCursor(document), *placement.bounds)
    edited = document_text(document)
    assert placement.is_intact
    placement.apply("Another")
    assert document_text(document) == edited.replace("Two.", "Another")
    document.undo()
    assert document_text(document) == edited
    document.undo()
    assert placement.is_intact
    assert text_between(document, *placement.bounds) == "Two."


@pytest.mark.parametrize(
    "edit",
    [
        deleted(0, 0),
        deleted(-1, 1),
        deleted(-3, 0),
        deleted(0, 3),
        deleted(1, 0),
        deleted(0, -1),
        deleted(1, -1),
        deleted(-1, -2),
        deleted(2, 2),
    ],
)
@pytest.mark.parametrize("rounds", [1, 3])
def test_a_passage_that_is_changed_is_known_again_when_that_is_undone(edit: Edit, rounds: int) -> None:
    document, placement = placed("One. ", "Two.", " Three.")
    typed(1, "!")(QTextCursor(document), *placement.bounds)
    edit(QTextCursor(document), *placement.bounds)
    for _ in range(rounds):
        assert not placement.is_intact
        document.undo()
        assert placement.is_intact
        assert text_between(document, *placement.bounds) == "Two."
        document.redo()
    document.undo()
    placement.apply("Another")
    assert document_text(document) == "One. Another! Three."


def test_a_change_in_the_passage_that_is_undone_by_hand() -> None:
    document, placement = placed("One. ", "Two.", " Three.")
    start = placement.bounds[0]
    cursor_of(document, start + 1, start + 1).insertText("x")
    assert not placement.is_intact
    cursor_of(document, start + 1, start + 2).removeSelectedText()
    assert placement.is_intact


def test_a_kept_passage_is_no_passage_any_more_until_it_is_undone() -> None:
    document, placement = placed("One. ", "Two.", " Three.")
    placement.apply("Another")
    assert not placement.is_intact
    document.undo()
    assert placement.is_intact
    again = placement.again()
    assert (again.passage, again.bounds) == ("Two.", placement.bounds)


def test_a_passage_is_asked_for_between_its_neighbours() -> None:
    _, placement = placed("One.\n\n", "Two.", "\nThree.")
    context = placement.context()
    assert (context.before, context.after) == ("One.\n\n", "\nThree.")
    assert placement.separator == ""


@pytest.mark.parametrize("reach", [40, 400])
def test_what_a_draft_looks_at_begins_at_the_same_place_while_the_text_grows(reach: int) -> None:
    text = "".join(f"Line {number}.\n" for number in range(400))
    document = document_of(text)
    begins = [
        len(text[:at]) - len(text_context(document, at, reach).before) for at in range(reach, 3 * reach)
    ]
    assert len(set(begins)) <= 10
    assert all(reach <= at - begin < 1.25 * reach for at, begin in enumerate(begins, reach) if begin)
