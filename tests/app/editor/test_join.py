import pytest

from app.editor.join import JoinMode, TextContext

SENTENCE = "He did not look at her."


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("", "", JoinMode.INLINE),
        (SENTENCE, "", JoinMode.NEW_PARAGRAPH),
        (SENTENCE, "\nNext.", JoinMode.NEW_PARAGRAPH),
        ("“Stay,” he said.”", "", JoinMode.NEW_PARAGRAPH),
        (SENTENCE + " ", "", JoinMode.INLINE),
        (SENTENCE + "\n", "", JoinMode.INLINE),
        ("He did not look", "", JoinMode.INLINE),
        ("He did not ", "look at her.", JoinMode.WITHIN),
        (SENTENCE, " She waited.", JoinMode.WITHIN),
        ("```python\ndef double(x):", "\n```", JoinMode.INLINE),
        ("```\ncode\n```\nProse again.", "", JoinMode.NEW_PARAGRAPH),
    ],
)
def test_place(before: str, after: str, place: JoinMode) -> None:
    assert TextContext(before, after).join.begun is place


@pytest.mark.parametrize(
    ("before", "after", "separator"),
    [
        ("One.", "", "\n"),
        ("One.\nTwo.", "", "\n"),
        ("One.\n\nTwo.", "", "\n\n"),
        ("One.", "\n\nTwo.", "\n\n"),
        ("One.\n\n", "", "\n"),
    ],
)
def test_a_new_paragraph_gets_the_documents_own_separator(before: str, after: str, separator: str) -> None:
    assert TextContext(before, after).join.separator == separator


@pytest.mark.parametrize(
    ("before", "after", "text", "shown"),
    [
        (SENTENCE, "", "\n She left.\n", "She left."),
        ("", "", " She left.", "She left."),
        ("He did", "", " not look.", " not look."),
        ("He did ", "", " not look. ", "not look."),
        ("He did ", "look.", "not", "not "),
        ("He did ", ", look.", "not", "not"),
        ("", "“Look,” he said.", "Then.", "Then. "),
        ("", '"Look," he said.', "Then.", "Then. "),
        ("He said ", "” and went.", "no.", "no."),
        ("```\ndef f():\n", "", "    return 1\n", "    return 1"),
        ("He did ", "", "not\r\nlook", "not\nlook"),
        ("He did ", "", "not\u2029look\ufdd0", "not\nlook"),
        ("He did ", "", "not\0 look\0", "not look"),
        ("He did ", "", "\ufeffnot\ufffe look\ufeff", "not look"),
    ],
)
def test_the_draft_brings_no_white_space_that_is_there_already(
    before: str, after: str, text: str, shown: str
) -> None:
    join = TextContext(before, after).join
    assert join.shown(text, before.rpartition("\n")[2], after.partition("\n")[0]) == shown


def test_a_draft_that_continues_a_line_from_the_right_stands_below_it() -> None:
    join = TextContext("1. \u05e9\u05dc\u05d5\u05dd ", "").join
    assert join.mode("1. \u05e9\u05dc\u05d5\u05dd ", "") is JoinMode.WITHIN
    assert join.insertion("\u05d1", "\u05e9 ", "") == "\u05d1"
    assert join.mode("1. Hello \u05e9", "") is JoinMode.INLINE
    assert TextContext("\u05e9.", "").join.mode("\u05e9.", "") is JoinMode.NEW_PARAGRAPH


def test_keep_puts_in_what_is_shown_behind_the_separator() -> None:
    join = TextContext("One.\n\nTwo.", "").join
    assert join.insertion("Three.", "Two.", "") == "\n\nThree."
    assert join.insertion("Three.", "", "") == "Three."
    assert join.insertion("Three. ", "Two.", "Four.") == "Three. "
    assert TextContext("One ", "").join.insertion("two.", "One ", "") == "two."
