"""Drafts of one place in their order: the likeliest first, faulty ones last."""

from __future__ import annotations

import pytest

from engine.diffusion import ranking
from engine.diffusion.ranking import Candidate, is_copy, repeats
from engine.model.diffusion_gemma import DiffusionGemma

OLD = "We were very glad to hear from you and from all of the others in the old house by the sea again."


@pytest.mark.parametrize(
    ("text", "share", "copies"),
    [
        (OLD, 1.0, True),
        (OLD, 0.25, True),
        (" " + OLD + " ", 0.25, True),
        (OLD.replace("glad", "happy"), 0.25, False),
        (OLD.replace("glad", "happy"), 0.6, True),
        (OLD.replace("glad", "happy").replace("sea", "lake"), 0.6, False),
        ("Nobody came.", 1.0, False),
        ("", 1.0, False),
    ],
)
def test_a_copy_has_the_passages_words(text: str, share: float, copies: bool) -> None:
    assert is_copy(text, OLD, share) is copies


def test_almost_the_same_words_copy_only_where_all_should_read_otherwise() -> None:
    old = " ".join(f"word{n}" for n in range(300))
    text = old.replace("word7 ", "other ")
    assert is_copy(text, old, 0.6)
    assert not is_copy(text, old, 0.25)
    common = "and so " * 200 + "it was"
    assert is_copy(common.replace("it was", "we were"), common, 1.0)  # words that are everywhere count too


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("We went home.", False),
        ("We went went home.", True),
        ("The the sea.", True),
        ("10 10 is no word.", False),
        ("no, no, no", False),
        ("out of the sea and out of the sea", True),
        ("out of the sea and out of the house", False),
        ("", False),
    ],
)
def test_repetitions(text: str, repeated: bool) -> None:
    assert repeats(text) is repeated


def ranks_of(
    model: DiffusionGemma,
    texts: list[str],
    after: str = " He wrote back.",
    passage: str = "",
    share: float = 1.0,
) -> list[int]:
    encode = model.tokenizer.encode
    prompt = [2, *encode("Dear Anna,\n\nThank you for your letter.")]
    cache = model.new_cache()
    model.prefill(cache, prompt)
    candidates = [Candidate(encode(text), text) for text in texts]
    return ranking.ranks(model, cache, prompt[-1], candidates, encode(after), passage, share)


def test_the_likeliest_is_first(starter: DiffusionGemma) -> None:
    texts = [" Roof the were glad letter.", " We were glad to hear from you.", " We glad hear to you."]
    assert ranks_of(starter, texts) == [2, 0, 1]


def test_what_follows_counts(starter: DiffusionGemma) -> None:
    """The same draft, but for one word that decides how well it goes on."""
    texts = [" We want to thank", " We went to the"]
    assert ranks_of(starter, texts, " sea in the morning.") == [1, 0]
    assert ranks_of(starter, texts, " you for your letter.") == [0, 1]


@pytest.mark.parametrize(
    "faulty",
    [
        " We were glad to hear from you.",
        " We were glad glad to hear from you.",
        " We were gladqqx to hear from you.",
    ],
)
def test_copies_repetitions_and_broken_words_are_last(starter: DiffusionGemma, faulty: str) -> None:
    texts = [faulty, " The roof of the house was red.", " Thank you very much for the invoice."]
    found = ranks_of(starter, texts, passage="We were glad to hear from you.")
    assert found[0] == 2
    assert sorted(found) == [0, 1, 2]


def test_one_draft_is_the_best_of_its_place(starter: DiffusionGemma) -> None:
    assert ranks_of(starter, [" Whatever"]) == [0]
