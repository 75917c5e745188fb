import pytest

from app.editor.placement import Place, Surroundings

SENTENCE = "He did not look at her."


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("", "", Place.INLINE),
        (SENTENCE, "", Place.NEW_PARAGRAPH),
        (SENTENCE, "\nNext.", Place.NEW_PARAGRAPH),
        ("“Stay,” he said.”", "", Place.NEW_PARAGRAPH),
        (SENTENCE + " ", "", Place.INLINE),
        (SENTENCE + "\n", "", Place.INLINE),
        ("He did not look", "", Place.INLINE),
        ("He did not ", "look at her.", Place.WITHIN),
        (SENTENCE, " She waited.", Place.WITHIN),
        ("```python\ndef double(x):", "\n```", Place.INLINE),
        ("```\ncode\n```\nProse again.", "", Place.NEW_PARAGRAPH),
    ],
)
def test_place(before: str, after: str, place: Place) -> None:
    assert Surroundings(before, after).joint.begun is place


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
    assert Surroundings(before, after).joint.separator == separator


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
    joint = Surroundings(before, after).joint
    assert joint.shown(text, before.rpartition("\n")[2], after.partition("\n")[0]) == shown


def test_a_draft_that_continues_a_line_from_the_right_stands_below_it() -> None:
    joint = Surroundings("1. \u05e9\u05dc\u05d5\u05dd ", "").joint
    assert joint.place("1. \u05e9\u05dc\u05d5\u05dd ", "") is Place.WITHIN
    assert joint.insertion("\u05d1", "\u05e9 ", "") == "\u05d1"
    assert joint.place("1. Hello \u05e9", "") is Place.INLINE
    assert Surroundings("\u05e9.", "").joint.place("\u05e9.", "") is Place.NEW_PARAGRAPH


def test_keep_puts_in_what_is_shown_behind_the_separator() -> None:
    joint = Surroundings("One.\n\nTwo.", "").joint
    assert joint.insertion("Three.", "Two.", "") == "\n\nThree."
    assert joint.insertion("Three.", "", "") == "Three."
    assert joint.insertion("Three. ", "Two.", "Four.") == "Three. "
    assert Surroundings("One ", "").joint.insertion("two.", "One ", "") == "two."
