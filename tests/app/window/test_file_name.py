"""The names that are proposed for new files."""

from pathlib import PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.window.file_name import proposed_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "Untitled.md"),
        (" \n\t\n", "Untitled.md"),
        ("Dear Clara,\n\nthe house is dry.", "Dear Clara.md"),
        ("\n\n# The ferry\n\nIt was late.", "The ferry.md"),
        ("> - **Milk** and `bread`", "Milk and bread.md"),
        ("1. First\n2. Second", "First.md"),
        ("1984 was a year", "1984 was a year.md"),
        ("What? Who: “me”/you \\ him | <her>*", "What Who “me” you him her.md"),
        ("...and so on", "and so on.md"),
        ("***\nAfter the break", "After the break.md"),
        ("con", "Untitled.md"),
        ("Lpt1.about", "Untitled.md"),
        ("我們去公園散步" * 20, ("我們去公園散步" * 20)[:48] + ".md"),
        ("word " * 40, "word word word word word word word word word.md"),
        ("Bru\u0308der \u202egnp.exe", "Brüder gnp.exe.md"),
        ("One is here.\nTwo is here.\nThree is here.", "One is here.txt"),
        ("One is here.\n\nTwo is here.", "One is here.md"),
        ("a\0b\x07c\ud800", "abc.md"),
    ],
)
def test_a_text_is_called_by_its_first_words(text: str, name: str) -> None:
    assert proposed_name(text) == name


@given(st.text())
@example("con.")
@example(" .\t.")
@example("- nul: x")
def test_every_file_system_takes_the_name(text: str) -> None:
    name = proposed_name(text)
    assert not PureWindowsPath(name).is_reserved()
    assert not set(name) & set('<>:"/\\|?*\0')
    assert name.isprintable()
    assert name.strip(" .") == name
    assert len(name.encode()) <= 255
