"""What a draft says and the writer's text does not. { and } stand around what is to be marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.checks.facts import new_facts
from tests.app.checks.conftest import JUNK

ENGLISH = "It was the year that they had all of it. "
GERMAN = "Es war das Jahr, in dem sie nicht mit der Stadt und den Leuten war. "
FRENCH = "Il était dans la ville, et elle ne sait pas que les gens sont avec nous. "
SPANISH = "Era el año en que los hombres no se fueron de la casa por el río. "


def found(before: str, marked: str, after: str = "", more: str = "") -> list[str]:
    draft = marked.replace("{", "").replace("}", "")
    return [draft[one.span.start : one.span.end] for one in new_facts(draft, before, after, more)]


def wanted(marked: str) -> list[str]:
    return [part.partition("}")[0] for part in marked.split("{")[1:]]


@pytest.mark.parametrize(
    ("before", "marked"),
    [
        (ENGLISH, "He saw {Ida Brandt} of {Oslo} there. Brandt was late, and so was Oslo."),
        (ENGLISH + "Ida’s house. ", "He saw Ida and {Ben}."),
        (ENGLISH + "Mr Lund was in. ", "He told Mrs {Keller} of Mr Lund."),
        (ENGLISH, 'Then she said, "Come in." The house was red. I’d know.'),
        (ENGLISH, "The {NASA} men of {Paris}."),
        (ENGLISH, "He came on {Monday} by the end of {April}. May we? March on. In {May} he left."),
        (ENGLISH + "On Monday. ", "He came on Monday, and {Tuesday} he went."),
        (ENGLISH, "{Tuesday} was cold."),
        (ENGLISH, "On {5 March 2024} and at {9:30} it was red."),
        (ENGLISH + "On 12 May 2024 at 9.30. ", "On 12 {June} 2024 at 9:30."),
        (GERMAN, "Die Katze sah das Haus, und Frau {Brandt} kam am {Montag} mit Hunden."),
        (FRENCH, "Il voit {Lyon} le {12 mars}, et {lundi} nous sommes dans la rue."),
        ("Она была в Москва и там жила. ", "Они ехали в Москву из {Казани}."),
        ("昨天他去了。", "他在{2024}年走了，{三}天。".replace("{三}", "三")),
        ("They Had It All In The Way Of The", "World Of Man And Sea And Sky"),
    ],
)
def test_names_and_dates(before: str, marked: str) -> None:
    assert found(before, marked) == wanted(marked)


@pytest.mark.parametrize(
    ("before", "marked"),
    [
        (ENGLISH + "1,000 men. ", "1000 men, 1.000 men, 1 000 men, a thousand, one thousand, and {1001}."),
        (ENGLISH + "three men ", "saw 3 men, the 3rd man, and {four}, {twenty-one} or {21}."),
        (ENGLISH + "10 % and 2 million. ", "ten percent, 2,000,000, two million, {3 million}."),
        (ENGLISH + "250 men. ", "two hundred and fifty men, {two hundred} men in one house, once."),
        (ENGLISH + "in 1968 ", "the 1968s and the {1980s}"),
        (ENGLISH + "१२३ ", "123 and １２３ and {124}"),
        (ENGLISH, "One of them. The first one, a second, hundreds of thousands."),
        (
            GERMAN + "21 und 3500 ",
            "einundzwanzig, dreitausendfünfhundert, 3.500 und {zweiundzwanzig} in der Stadt",
        ),
        (GERMAN + "1,5 ", "mit 1.5 und mit {2,5} in der Stadt"),
        (FRENCH + "70 ", "avec soixante-dix et {trente-deux} dans la ville"),
        (SPANISH + "32 ", "con treinta y dos y {once} en la casa que se fue"),
    ],
)
def test_numbers(before: str, marked: str) -> None:
    assert found(before, marked) == wanted(marked)


def test_what_was_asked_for_and_what_stands_far_off_is_from_the_writer() -> None:
    far = "Ida saw 1,000 of them.\n" + "It was so.\n" * 20_000
    marked = "He saw Ida and 1000 of {Bens} with Eve on {Friday}."
    assert found(far + ENGLISH, marked, more="Say it of Eve") == wanted(marked)
    assert found(ENGLISH, marked, "It was so.\n" * 20_000 + " Ida saw 1000", "Eve") == wanted(marked)
    assert found(ENGLISH + "Idaho 10000", "He saw {Ida} and {1000} there.") == ["Ida", "1000"]


@given(JUNK, JUNK, JUNK)
def test_whatever_is_drafted_the_marks_lie_in_it(before: str, draft: str, after: str) -> None:
    for finding in new_facts(draft, before, after):
        assert 0 <= finding.span.start < finding.span.end <= len(draft)
        assert finding.kind == "fact"


@given(st.integers(0, 10**9), st.sampled_from(["{}", "{:,}", "{:_}"]))
def test_a_number_is_the_same_however_its_thousands_are_set_off(value: int, form: str) -> None:
    for mark in ",.’\u00a0\u202f":
        assert found(f"{value} of them.", form.format(value).replace("_", ",").replace(",", mark)) == []
