"""Drafts of the bundled model, labelled by hand: what engine/bench/README.md tells of them holds."""

from tests.bench.checks import HELD_OUT, Count, count


def test_glitches() -> None:
    assert count("glitches") == Count(drafts=57, marked=101, wrong=0, missed=15)
    assert count("glitches", HELD_OUT) == Count(drafts=5, marked=13, wrong=0, missed=9)


def test_facts() -> None:
    assert count("facts") == Count(drafts=81, marked=139, wrong=2, missed=6)
    assert count("facts", HELD_OUT) == Count(drafts=12, marked=17, wrong=1, missed=1)
