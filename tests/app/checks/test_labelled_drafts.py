"""200 drafts of the bundled model, labelled by hand: what engine/bench/README.md tells of them holds."""

from tests.bench.checks import Count, count


def test_glitches() -> None:
    assert count("glitches") == Count(drafts=57, marked=101, wrong=0, missed=8)


def test_facts() -> None:
    assert count("facts") == Count(drafts=81, marked=139, wrong=2, missed=6)
