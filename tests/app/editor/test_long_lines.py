"""A long line that Qt finds no place to break in."""

import pytest
from PySide6.QtGui import QTextOption
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from tests.app.pages import TEXT, cursor_at, make_page

BY_WORDS, ANYWHERE = QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere, QTextOption.WrapMode.WrapAnywhere


@pytest.mark.parametrize(
    ("line", "characters"),
    [
        ("wordx" * 4000, 20_000),
        ("ab,cd" * 4000, 20_000),
        ("слово" * 4000, 20_000),
        ("a\u00a0b" * 4000, 12_000),
        ("short ones " + "x" * 9000 + " and so on", 9000),
    ],
)
def test_lines_end_within_words_while_a_line_has_no_end_of_a_word(
    qtbot: QtBot, line: str, characters: int
) -> None:
    page = make_page(qtbot)
    told: list[int] = []
    page.wraps_within_words.connect(told.append)
    set_document_text(page.document(), f"{TEXT}\n{line}\n{TEXT}")
    assert page.wordWrapMode() == page.document().defaultTextOption().wrapMode() == ANYWHERE
    assert set(told) == {characters}
    assert page.text() == f"{TEXT}\n{line}\n{TEXT}"
    cursor_at(page, 3).insertText("typed")
    assert page.wordWrapMode() == ANYWHERE
    set_document_text(page.document(), TEXT)
    assert page.wordWrapMode() == BY_WORDS


def test_so_they_do_once_such_a_line_is_pasted(qtbot: QtBot) -> None:
    page = make_page(qtbot)
    page.insertPlainText("word " * 4000)
    assert page.wordWrapMode() == BY_WORDS
    page.insertPlainText("x" * 20_000)
    assert page.wordWrapMode() == ANYWHERE


@pytest.mark.parametrize("line", ["word " * 4000, "他走了。" * 4000, "x" * 4000, "เขาไปแล้ว" * 2000, ""])
def test_other_long_lines_end_at_words(qtbot: QtBot, line: str) -> None:
    assert make_page(qtbot, f"{TEXT}\n{line}").wordWrapMode() == BY_WORDS
