"""How a draft joins the text around it."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.editor.join import JoinMode, TextContext, rest_of_word

SENTENCE = "He did not look at her."


def joined(before: str, after: str, draft: str, is_markdown: bool = False) -> tuple[str, str]:
    """What stands there once a draft is kept: up to the draft's end, and behind it."""
    around = TextContext(before, after, is_markdown)
    shown = "".join(around.join.shown([draft], around))
    return before + around.join.lead(around) + shown, around.join.tail(around) + after


@pytest.mark.parametrize(
    ("before", "after", "mode"),
    [
        ("", "", JoinMode.INLINE),
        (SENTENCE, "", JoinMode.NEW_PARAGRAPH),
        (SENTENCE, "\nNext.", JoinMode.NEW_PARAGRAPH),
        (SENTENCE, "  \t", JoinMode.NEW_PARAGRAPH),
        ("“Stay,” he said.”", "", JoinMode.NEW_PARAGRAPH),
        (SENTENCE + " ", "", JoinMode.INLINE),
        (SENTENCE + "\t", "", JoinMode.INLINE),
        (SENTENCE + "\n", "", JoinMode.INLINE),
        ("He did not look", "", JoinMode.INLINE),
        ("He did not ", "look at her.", JoinMode.WITHIN),
        (SENTENCE, " She waited.", JoinMode.WITHIN),
        ("", "She waited.", JoinMode.BEFORE),
        (SENTENCE + "\n", "She waited.", JoinMode.BEFORE),
        (SENTENCE + "\n\n  ", "She waited.", JoinMode.BEFORE),
        (f"{SENTENCE}\n\nAgain.\n", "\nShe waited.", JoinMode.NEW_PARAGRAPH),
        (f"{SENTENCE}\n\n", "\nShe waited.", JoinMode.INLINE),
        ("```python\ndef double(x):", "\n```", JoinMode.INLINE),
        ("```python", "\n```", JoinMode.NEW_PARAGRAPH),
        ("```\ncode\n```\nProse again.", "", JoinMode.NEW_PARAGRAPH),
        ("```\ncode\n```", "", JoinMode.NEW_PARAGRAPH),
        ("1. שלום ", "", JoinMode.INLINE),
        ("1. Hello ש", "", JoinMode.WITHIN),  # words that read the other way would move
        ("שלום Hello ", "", JoinMode.WITHIN),
        ("שלום.", "", JoinMode.NEW_PARAGRAPH),
    ],
)
def test_mode(before: str, after: str, mode: JoinMode) -> None:
    around = TextContext(before, after)
    assert around.join.mode(around) is mode


ENDS = [
    "Er ging.",
    "„Er ging.“",
    "»Er ging.«",
    "« Il part. »",
    "« Il part\u00a0! »",
    "—¿Qué?",
    "Τι είναι;",
    "Конец!",
]
ENDS += [
    "他走了。",
    "彼は「行く。」",
    "「行くよ」",
    "『行こう』",
    "何？！",
    "그는 갔다.",
    "वह गया।",
    "هل ذهب؟",
    "הוא הלך.",
    "သွားပြီ။",
]
ENDS += [
    "And then…",
    "And then...",
    "He said:",
    "*He left.*",
    "**“Go!”**",
    "(He left.)",
    "What a day! 😀",
    "Go. 👩🏽‍🚀",
]
ENDS += [
    "In the year 1999.",
    "## Chapter One",
    "***",
    "* * *",
    "---",
    "| a | b |",
    "- Milk.",
    "> He left.",
    "Why?!",
    "My.",
]
GOES_ON = [
    "He saw Dr.",
    "with Mrs.",
    "z. B.",
    "J. R. R.",
    "1.",
    "2)",
    "-",
    "*",
    ">",
    "##",
    "a day 😀",
    "er „ging“",
    "彼は「猫」",
]
GOES_ON += [
    "Dear Anna,",
    "He said —",
    "เขาไปแล้ว",
    "foo_bar",
    "[link](a",
    "12,",
    "他走，",
    "قال،",
    "(",
    "“",
    "## Chapter ",
]


@pytest.mark.parametrize("line", ENDS)
def test_a_whole_line_is_followed_by_a_new_paragraph(line: str) -> None:
    assert TextContext(line, "").join.begins_anew


@pytest.mark.parametrize("line", GOES_ON)
def test_an_unfinished_line_goes_on(line: str) -> None:
    assert not TextContext(line, "").join.begins_anew


@pytest.mark.parametrize(
    ("before", "after", "separator"),
    [
        ("One.", "", None),
        ("One.\nTwo.", "", "\n"),
        ("One.\n\nTwo.", "", "\n\n"),
        ("One.", "\n\nTwo.", "\n\n"),
        ("One.", "\n\n", None),
        ("One.\n\n", "", "\n\n"),
        ("One.\n \t\nTwo.", "", "\n\n"),
        ("One.\nTwo is.\nThree.\nFour is.\n\nA scene.\nSix.", "", "\n"),
        ("Roses are red,\nViolets are blue,\n\nSugar is", "", "\n\n"),
        ("One that\nis wrapped\nby hand.\n\nTwo that\nis, too.", "", "\n\n"),
        ("- Milk.\n- Eggs.\n- Ham.\n\nThat is all.", "", "\n\n"),
        ("# Title\nOne that", "", "\n\n"),
    ],
)
def test_paragraphs_are_separated_as_the_document_does(
    before: str, after: str, separator: str | None
) -> None:
    assert TextContext(before, after).join.separator == separator


def test_a_markdown_file_gets_blank_lines() -> None:
    assert joined("One.", "", "Two.\nThree.", is_markdown=True)[0] == "One.\n\nTwo.\n\nThree."
    assert joined("One.", "", "Two.\nThree.")[0] == "One.\nTwo.\nThree."


@pytest.mark.parametrize(
    ("before", "after", "draft", "upto", "rest"),
    [
        # At a paragraph's start
        ("Emma Young\n", "Second is here.", " Emma.", "Emma Young\nEmma.", "\nSecond is here."),
        ("One is.\n\n", "Two is.", "Emma.\nBen is.", "One is.\n\nEmma.\n\nBen is.", "\n\nTwo is."),
        ("One is.\n\nTwo is.\n", "Three is.", "Emma.", "One is.\n\nTwo is.\n\nEmma.", "\n\nThree is."),
        ("", "One is.\n\nTwo is.", "\nEmma.\n", "Emma.", "\n\nOne is.\n\nTwo is."),
        ("  ", "“Look,” he said.", "Then.", "  Then.", "\n  “Look,” he said."),
        ("- Milk.\n", "- Eggs.\n\nAll is.", "- Ham.", "- Milk.\n- Ham.", "\n- Eggs.\n\nAll is."),
        ("One,\n", "two.\n\nThree is.", "half,", "One,\nhalf,", "\ntwo.\n\nThree is."),
        # On a blank line
        ("One is.\n", "\nTwo is.", "Emma.", "One is.\n\nEmma.", "\n\nTwo is."),
        ("One is.\n\n", "\nTwo is.", "Emma.", "One is.\n\nEmma.", "\n\nTwo is."),
        ("One is.\n\n\n", "\n\n\nTwo is.", "Emma.", "One is.\n\n\nEmma.", "\n\n\nTwo is."),
        ("One is.\n\nTwo is.\n", "", "Emma.", "One is.\n\nTwo is.\n\nEmma.", ""),
        ("One is.\n\nTwo is.\n", "\n", "Emma.", "One is.\n\nTwo is.\n\nEmma.", "\n"),
        ("One is.\nTwo is.\n", "", "Emma.", "One is.\nTwo is.\nEmma.", ""),
        ("\n", "\nOne is.\n\nTwo is.", "Emma.", "\nEmma.", "\n\nOne is.\n\nTwo is."),
        ("One is.\n\nLove,\n", "", "Emma", "One is.\n\nLove,\nEmma", ""),
        ("Dear Anna,\n", "\nI am.\n\nLove,", "Thanks.", "Dear Anna,\n\nThanks.", "\n\nI am.\n\nLove,"),
        ("- Milk\n- Eggs\n", "\nAll is.\n\nSo.", "Emma.", "- Milk\n- Eggs\n\nEmma.", "\n\nAll is.\n\nSo."),
        ("```\na = 1.\n", "\nb = 2", "c = 3", "```\na = 1.\nc = 3", "\nb = 2"),
        # Behind a whole paragraph
        ("One is.\n\nTwo is.", "\nThree is.", "Emma.", "One is.\n\nTwo is.\n\nEmma.", "\n\nThree is."),
        ("One is.\nTwo is.", "\nThree is.", "Emma.\n\nBen.", "One is.\nTwo is.\nEmma.\nBen.", "\nThree is."),
        ("One is.\n\n- Milk.", "\n- Eggs.", "- Ham.", "One is.\n\n- Milk.\n- Ham.", "\n- Eggs."),
        ("One is.\n\n> Milk.", "", "> Ham.", "One is.\n\n> Milk.\n> Ham.", ""),
        ("## One", "", "Emma.", "## One\n\nEmma.", ""),
        ("One is.", "", "Emma.\n\n\nBen.", "One is.\nEmma.\nBen.", ""),
        # The lines of a draft
        ("One is.\n\n", "", "Two,\nthree.\nFour.", "One is.\n\nTwo,\nthree.\n\nFour.", ""),
        ("One is.\n\n", "", "- Milk.\n- Eggs.\nSo.", "One is.\n\n- Milk.\n- Eggs.\n\nSo.", ""),
        ("One is.\n\n", "", "```\na:\nb:\n```", "One is.\n\n```\na:\nb:\n```", ""),
        ("", "", "Dear Anna,\n\nThanks.\n\nLove,\nEmma", "Dear Anna,\n\nThanks.\n\nLove,\nEmma", ""),
        ("Dear Anna,", "", "\n\nThanks.\n\nLove,\nEmma", "Dear Anna,\n\nThanks.\n\nLove,\nEmma", ""),
        ("One is.\n\nHe said", "", "\nTwo.", "One is.\n\nHe said\n\nTwo.", ""),
        # Within a paragraph
        ("He did ", "look.", "not\nwant to.\n\nSo.", "He did not ", "look."),
        ("He did", " look.", "\nnot", "He did not", " look."),
        ("He left.", " She waited.", "Then he ran.\nSo.", "He left. Then he ran.", " She waited."),
        ("I like", ", dogs.", " cats.", "I like cats", ", dogs."),
        ("I like ", ".", "cats!", "I like cats!", "."),
        ("He said “", "” and went.", " no ", "He said “no", "” and went."),
        ("Er sagte „", "“ und ging.", "nein", "Er sagte „nein", "“ und ging."),
        ("Er sagte „nein“", " und ging.", "laut", "Er sagte „nein“ laut", " und ging."),
        ("Il dit «\u00a0", "\u00a0» et part.", " non ", "Il dit «\u00a0non", "\u00a0» et part."),
        ("Dijo ", "¿Qué?", "ella", "Dijo ella ", "¿Qué?"),
        ("He said ", ", and left.", "but...", "He said but...", ", and left."),
        ("It costs $", "5 now.", "4 or", "It costs $4 or ", "5 now."),
        ("It costs 5€", " now.", "or 6", "It costs 5€ or 6", " now."),
        ("I think", "—ten.", "so", "I think so", "—ten."),
        ("I think—", "ten.", "so", "I think—so ", "ten."),
        ("I think – ", "ten.", "so", "I think – so ", "ten."),
        ("What a day 😀", " then.", "we had", "What a day 😀 we had", " then."),
        ("他走", "了。", " 得快 ", "他走得快", "了。"),
        ("彼は", "行った。", "東京へ\n\n次", "彼は東京へ", "行った。"),
        ("เขา", "แล้ว", "ไป", "เขาไป", "แล้ว"),
        ("그는", " 갔다.", "집에", "그는 집에", " 갔다."),
        ("वह", " गया।", "घर", "वह घर", " गया।"),
        ("هو", " ذهب.", "أيضا", "هو أيضا", " ذهب."),
        ("foo(", ")", "a,\n    b", "foo(a,", ")"),
        ("```\nfoo(", ")", "a,\n    b", "```\nfoo(a,\n    b", ")"),
        # At a line's end
        ("He did not", "", "look.", "He did not look.", ""),
        ("He saw Dr.", "", "Young.", "He saw Dr. Young.", ""),
        ("-", "", "Milk", "- Milk", ""),
        ("3.", "", "Milk", "3. Milk", ""),
        ("He did\u00a0", "", " not", "He did\u00a0not", ""),
        ("他", "", "走了。", "他走了。", ""),
        ("It is 3.", "", "", "It is 3.\n", ""),
    ],
)
def test_what_stands_there_once_it_is_kept(before: str, after: str, draft: str, upto: str, rest: str) -> None:
    assert joined(before, after, draft) == (upto, rest)


@pytest.mark.parametrize(
    ("before", "after", "text", "shown"),
    [
        (SENTENCE, "", "\n She left.\n", "She left."),
        ("", "", " She left.", "She left."),
        ("He did", "", " not look.", " not look."),
        ("He did ", "", " not look. ", "not look."),
        ("He did ", "look.", "not", "not "),
        ("He did ", ", look.", "not", "not"),
        ("He ", "“Look,” he said.", "Then.", "Then. "),
        ("He ", '"Look," he said.', "Then.", "Then. "),
        ("He said ", "” and went.", "no.", "no."),
        ("```\ndef f():\n", "", "    return 1\n", "    return 1"),
        ("He did ", "", "not\r\nlook", "not\nlook"),
        ("He did ", "", "not\u2029look\ufdd0", "not\nlook"),
        ("He did ", "", "not\0 look\0", "not look"),
        ("He did ", "", "\ufeffnot\ufffe look\ufeff", "not look"),
        (SENTENCE, "", " \n ", ""),
    ],
)
def test_the_draft_brings_no_white_space_that_is_there_already(
    before: str, after: str, text: str, shown: str
) -> None:
    around = TextContext(before, after)
    assert around.join.shown([text], around) == [shown]


@pytest.mark.parametrize(
    ("before", "after", "rest"),
    [
        ("He wal", "ked home", 3),
        ("can", "’t", 2),
        ("3", ".14", 3),
        ("🌊 wa", "ve", 2),
        ("He", " walked", 0),
        ("He ", "walked", 0),
        ("", "walked", 0),
        ("walked", "", 0),
        ("", "", 0),
        ("他", "走", 0),
        ("foo(", ")", 0),
    ],
)
def test_the_rest_of_a_word(before: str, after: str, rest: int) -> None:
    assert rest_of_word(before + after, len(before.encode("utf-16-le")) // 2) == rest


LINES = [
    *ENDS,
    *GOES_ON,
    "",
    "",
    "   ",
    "\t",
    "```",
    "He did not",
    "Hello, world",
    "שלום לכם",
    "Sie sagte „ja“ und",
]
texts = st.lists(st.sampled_from(LINES), min_size=1, max_size=7).map("\n".join)
drafts = st.lists(st.sampled_from([*LINES, "Then he ran.", " walks", "- Ham"]), min_size=1, max_size=5).map(
    "\n".join
)


@given(texts, st.integers(0, 200), st.lists(st.text(" \n.aé走“🌊", max_size=6), max_size=6))
def test_pieces_are_shown_as_the_whole_is(text: str, place: int, pieces: list[str]) -> None:
    around = TextContext(text[:place], text[place:])
    shown = around.join.shown(pieces, around)
    assert len(shown) == len(pieces)
    assert "".join(shown) == "".join(around.join.shown(["".join(pieces)], around))


@given(texts, st.integers(0, 200), drafts)
def test_a_draft_never_glues_words_nor_doubles_spaces(text: str, place: int, draft: str) -> None:
    around = TextContext(text[:place], text[place:])
    join = around.join
    shown = "".join(join.shown([draft], around))
    if join.in_code or not shown:
        return
    for left, right in (
        (around.before + join.lead(around), shown),
        (shown, join.tail(around) + around.after),
    ):
        seam = left[-1:] + right[:1]
        in_line = around.line_after.strip() or left is not shown
        if in_line and around.line_before.strip():
            assert not re.fullmatch(r"[a-zá-ž]{2}", seam)
            assert seam != "  "
    if around.line_before.strip() and around.line_after.strip():
        assert "\n" not in shown
    assert not unicodedata.category(shown[-1]).startswith("Z") or around.line_after.strip()
