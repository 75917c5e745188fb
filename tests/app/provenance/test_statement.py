"""The statement says what is known, and what is not."""

from collections import Counter

import pytest

from app.provenance.paragraphs import UNKNOWN, Run, paragraph
from app.provenance.statement import share, statement


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [
        (0, 0, "0 %"),
        (0, 10, "0 %"),
        (1, 1000, "under 1 %"),
        (31, 100, "31 %"),
        (999, 1000, "over 99 %"),
        (1000, 1000, "100 %"),
    ],
)
def test_a_share_is_never_told_as_nothing_or_all_when_it_is_not(part: int, whole: int, told: str) -> None:
    assert share(part, whole) == told


def test_the_statement() -> None:
    told = statement("ferry.md", 1200, Counter({"Starter model": 372}), "1.2", "3 May 2026")
    assert told[0] == (
        "31 % of the words of “ferry.md” were drafted by Mezzotint with “Starter model”: 372 of 1,200."
    )
    assert told[-1] == "Counted by Mezzotint 1.2 on 3 May 2026."


def test_several_models_and_what_is_unknown() -> None:
    told = statement("a", 100, Counter({"A": 20, "B": 11, UNKNOWN: 5}), "1.2", "3 May 2026")
    assert "31 of 100. That is 20 % with “A” and 11 % with “B”." in told[0]
    assert told[2].startswith("5 % of the words (5) came from elsewhere")


def test_a_text_without_drafts() -> None:
    told = statement("a", 0, Counter(), "1.2", "3 May 2026")
    assert told[0] == "0 % of the words of “a” were drafted by Mezzotint: 0 of 0."


@pytest.mark.parametrize(
    ("text", "runs", "words"),
    [
        ("the old garden", [Run(0, 14, "M")], {"M": 3}),
        ("the old gardens", [Run(0, 14, "M")], {"M": 2}),
        ("the old gar den", [Run(0, 14, "M")], {"M": 3}),
        ("🦊 can’t שלום", [Run(0, 8, "M"), Run(9, 13, UNKNOWN)], {"M": 1, UNKNOWN: 1}),
        ("one two", [Run(0, 2, "M"), Run(2, 7, "N")], {"M": 1, "N": 1}),
        ("one two", [Run(0, 2, "M"), Run(2, 7, UNKNOWN)], {UNKNOWN: 2}),
        ("我們去", [Run(0, 2, "M")], {"M": 2}),
    ],
)
def test_a_word_is_drafted_while_all_its_letters_are(
    text: str, runs: list[Run], words: dict[str, int]
) -> None:
    assert paragraph(text, runs).words == words
