"""Passages: their words, what of them is held, windows of them, and what stands where in a draft."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.checkpoints import catalogue
from engine.checkpoints.checkpoint import Checkpoint
from engine.diffusion.passage import (
    Passage,
    begins_sentence,
    follows_sentence,
    full_stop,
    has_sentence,
    words_of,
)
from engine.protocol.requests import Span
from engine.text.detokenizer import Detokenizer
from engine.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer(catalogue.STARTER.folder)
DETOKENIZER = Detokenizer(Checkpoint.open(catalogue.STARTER.folder).tokenizer())

pieces = st.sampled_from(
    ("It ", "rained. ", "“No,” ", "don't ", "日本。", "😀", "3.5 ", "\n\n", "Nora’s ", " ", "ferry", "!")
)
texts = st.lists(pieces, min_size=1, max_size=25).map("".join)


def passage_of(text: str, *spans: Span, blanks: int = 0) -> Passage:
    return Passage.of(TOKENIZER.encode(" " * blanks + text), spans, blanks, DETOKENIZER)


def text_of(ids: list[int]) -> str:
    return "".join(DETOKENIZER.texts(ids)[0])


def held_text(passage: Passage) -> str:
    return text_of([passage.ids[at] for at in sorted(passage.held)])


@pytest.mark.parametrize(
    ("before", "begins"),
    [
        ("", True),
        ("It rained.", True),
        ("He said: “No.” ", True),
        ("Dear Anna,\n\n", True),
        ("雨だった。", True),
        ("It rained and", False),
        ("We need:\n- eggs\n", False),
        ("| a | b |\n", False),
        ("Dear Anna,", False),
        ("It costs 3.5", False),
    ],
)
def test_a_sentence_begins_behind_a_sentence_or_at_a_lines_start(before: str, begins: bool) -> None:
    assert begins_sentence(before) is begins


@pytest.mark.parametrize(
    ("before", "stop"),
    [("", "."), ("It rained!", "."), ("Ja? 雨だった。", "。"), ("你好！", "。"), ("बारिश हुई।", "।")],
)
def test_a_full_stop_is_the_one_of_the_sentences_before(before: str, stop: str) -> None:
    assert full_stop(before) == stop


@pytest.mark.parametrize(
    ("after", "follows"),
    [
        ("", True),
        ("\n\nThen", True),
        (" Then", True),
        (" Über", True),
        ("雨", True),
        (" and", False),
        (", and", False),
        (".", False),
        ("- a row", False),
    ],
)
def test_what_begins_a_sentence_is_no_part_of_the_one_before(after: str, follows: bool) -> None:
    assert follows_sentence(after) is follows


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("", False),
        ("We went", False),
        ("We went.", True),
        (" We went. Then we", True),
        ('"Go!" she', False),
        ('"Go!" She', True),
        ("At 5.30 we", False),
        ("… and so", False),
        ("雨だった。傘", True),
        ("We met Mr. Brown", False),
        ("We met Mr. Brown. He", True),
        ("At 5 p.m. J. Smith", False),
        ("1. We", False),
        ("See fig. 3 of", False),
        ("«Arrête!» ça", False),
        ("Well… I", False),
    ],
)
def test_a_sentence_ends_before_another_or_with_the_text(text: str, has: bool) -> None:
    assert has_sentence(text) is has


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ([], []),
        (["It", " rained", "."], ["It", " rained", "."]),
        ([" rain", "ed", " hard"], [" rained", " hard"]),
        (["don", "'", "t"], ["don't"]),
        (["Nora", "’", "s", " boat"], ["Nora’s", " boat"]),
        (["well", "-", "known"], ["well-known"]),
        (["e", "\u0301", "t"], ["e\u0301t"]),
        (["日", "本", "語"], ["日", "本", "語"]),
        (["a", "日", "b"], ["a", "日", "b"]),
        (["so", "", "", "😀", "", "é"], ["so", "😀", "é"]),
        (["", "é", "t", "é"], ["été"]),
        (["One", ".", "\n\n", "Two"], ["One", ".", "\n\nTwo"]),
        ([" ", " ", "x"], ["  x"]),
        (["x", ""], ["x"]),
    ],
)
def test_words_have_the_white_space_before_them(tokens: list[str], words: list[str]) -> None:
    found = words_of(tokens)
    assert ["".join(tokens[word.start : word.stop]) for word in found] == words
    assert [at for word in found for at in word] == list(range(len(tokens)))


def test_a_word_begins_with_the_first_part_of_its_character() -> None:
    assert words_of(["so", "", "", "😀", " on"]) == [range(1), range(1, 4), range(4, 5)]


@given(texts)
def test_words_are_all_tokens_in_order(text: str) -> None:
    words = passage_of(text).words
    assert [at for word in words for at in word] == list(range(len(TOKENIZER.encode(text))))


@pytest.mark.parametrize(
    ("text", "span", "held"),
    [
        ("It rained all day.", Span(3, 9), " rained"),
        ("It rained all day.", Span(2, 9), " rained"),
        ("It rained all day.", Span(5, 6), " rain"),
        ("It rained all day.", Span(0, 3), "It"),
        ("It rained all day.", Span(2, 3), ""),
        ("It rained all day.", Span(0, 18), "It rained all day."),
        ("We 😀 it", Span(3, 4), " 😀"),
        ("😀😀", Span(1, 2), "😀"),
        ("日本", Span(0, 1), "日"),
    ],
)
def test_a_token_that_a_span_touches_is_held(text: str, span: Span, held: str) -> None:
    assert held_text(passage_of(text, span)).strip() == held.strip()


def test_spans_count_from_behind_the_blanks() -> None:
    for blanks in (0, 1, 3):
        assert held_text(passage_of("went home", Span(0, 4), blanks=blanks)).strip() == "went"
        assert held_text(passage_of("went home", Span(5, 9), blanks=blanks)) == " home"


@given(texts, st.data())
def test_what_is_held_holds_the_span_to_the_letter(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert text[start:end].rstrip() in held_text(passage_of(text, Span(start, end)))


# ------------------------------------------------------------------ windows


@given(texts, st.integers(1, 20), st.booleans())
def test_windows_are_all_tokens_once_in_order(text: str, capacity: int, holds: bool) -> None:
    passage = passage_of(text, *([Span(0, 3)] if holds else []))
    windows = passage.windows(capacity, DETOKENIZER)
    assert [index for window in windows for index in window.ids] == passage.ids
    assert all(0 < len(window.ids) <= capacity for window in windows)
    for window, begins in zip(windows, begins_of(windows), strict=False):
        assert [at for word in window.words for at in word] == list(range(len(window.ids)))
        assert window.held >= {at - begins for at in passage.held if 0 <= at - begins < len(window.ids)}


def begins_of(windows: list[Passage]) -> list[int]:
    begins = [0]
    for window in windows:
        begins.append(begins[-1] + len(window.ids))
    return begins


@pytest.mark.parametrize(
    "sentences",
    [
        ["It rained. We went home.", " So it was."],
        ["“It rained.” We went.", " “No” is what I said."],
        ["He said “so.”", " And on."],
        ["It cost 3.", "\n\n4.5 was too much."],
        ["今日は雨。", "明日は晴。"],
        ["A heading", "\nIt rained and rained"],
    ],
)
def test_windows_end_with_sentences_where_there_are_any(sentences: list[str]) -> None:
    """As many sentences as fit, and a token more than that."""
    first, second = (len(TOKENIZER.encode(sentence)) for sentence in sentences)
    for capacity in range(max(first, second), first + second):
        windows = passage_of("".join(sentences)).windows(capacity, DETOKENIZER)
        assert [text_of(window.ids) for window in windows] == sentences


def test_a_sentence_that_does_not_fit_is_cut_at_words() -> None:
    windows = passage_of("One word and another and more").windows(4, DETOKENIZER)
    assert len(windows) > 1
    assert all(text_of(window.ids)[0] == " " for window in windows[1:])


def test_a_sentence_ends_as_it_did() -> None:
    for text, end in (("It rained.", "."), ("Come 😀", " 😀"), ("It rained", "")):
        (window,) = passage_of(text).windows(99, DETOKENIZER)
        assert held_text(window).strip() == end.strip()


def test_nothing_is_one_window() -> None:
    assert [window.ids for window in Passage().windows(9, DETOKENIZER)] == [[]]


# ------------------------------------------------------------------ what stands where


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))), st.data())
def test_what_is_held_keeps_order_gaps_and_ends(given: tuple[int, set[int]], data: st.DataObject) -> None:
    count, held = given
    wanted = data.draw(st.integers(1, 70))
    passage = Passage(list(range(100, 100 + count)), [], frozenset(held))
    length, pins = passage.placed(wanted)
    assert [pins[at] for at in sorted(pins)] == [100 + at for at in sorted(held)]
    free = count - len(held)
    assert length == (wanted if not held else max(wanted, length) if free else count)
    assert all(0 <= at < length for at in pins)
    places = {token - 100: at for at, token in pins.items()}
    for one, other in pairwise(sorted(held)):
        assert (places[other] - places[one] == 1) == (other - one == 1)
    for edge, stands in ((0, 0), (count - 1, length - 1)):
        assert (edge in held) == (stands in pins)


def test_at_its_own_length_all_stands_where_it_stood() -> None:
    passage = Passage(list(range(9)), [], frozenset({0, 3, 4, 8}))
    assert passage.placed(9) == (9, {0: 0, 3: 3, 4: 4, 8: 8})
    assert passage.placed(1)[0] == 6  # room for one token in each gap


def test_in_a_longer_draft_it_stands_at_the_same_share_of_the_way() -> None:
    passage = Passage(list(range(10)), [], frozenset({5}))
    assert passage.placed(20) == (20, {11: 5})
    assert passage.placed(5) == (5, {2: 5})


def test_with_no_room_for_it_what_is_not_held_goes() -> None:
    passage = Passage(list(range(9)), [], frozenset({0, 3, 4, 8}))
    assert passage.placed(1, least_room=0) == (4, {0: 0, 1: 3, 2: 4, 3: 8})
    assert passage.placed(9, least_room=0) == passage.placed(9)


def test_what_must_change_is_all_of_a_few_tokens_and_every_third_of_many() -> None:
    passage = Passage(list(range(12)), [], frozenset({0, 3, 4}))
    assert passage.changing().unlikely == {1, 2, 5, 8, 11}
    assert passage.changing().held == passage.held


def test_a_redraft_holds_all_but_its_words_and_some_of_them_must_change() -> None:
    passage = Passage(list(range(8)), [], frozenset({2}))
    again = passage.redrafting([range(2, 4), range(6, 8)], changed=1)
    assert again.held == {0, 1, 2, 4, 5}
    assert again.unlikely == {3}
