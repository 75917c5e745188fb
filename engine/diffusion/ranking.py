"""Rank drafts of one place: by the likelihood of each with what follows it, faulty ones last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

from engine.diffusion.passage import REPHRASED_SHARE
from engine.model import likelihood

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache

    from engine.model.diffusion_gemma import DiffusionGemma

SAME = 0.95
"""Of two texts' words: a draft as like as that is a copy of the passage."""
BROKEN_NATS = -9.0
"""A token within a word that is less likely than this breaks it."""
_REPEATED_WORDS = 4


@dataclass(frozen=True)
class Candidate:
    """A draft: the tokens of all its canvases, and their text."""

    ids: list[int]
    text: str


def ranks(
    model: DiffusionGemma,
    cache: DynamicCache,
    last_id: int,
    candidates: Sequence[Candidate],
    after: Sequence[int],
    passage: str,
    share: float,
) -> list[int]:
    """Of each candidate, 0 for the best. cache and last_id: of what stands before them; after: ids that
    follow; passage: what they replace, `share` of whose words were drafted anew.
    """
    if len(candidates) == 1:
        return [0]
    told = likelihood.causal(model, cache, last_id, [[*each.ids, *after] for each in candidates])
    keys = []
    for candidate, nats in zip(candidates, told, strict=True):
        faulty = (
            is_copy(candidate.text, passage, share)
            or repeats(candidate.text)
            or _breaks_a_word(model, candidate.ids, nats.tolist())
        )
        keys.append((faulty, -nats.mean().item()))
    order = sorted(range(len(candidates)), key=keys.__getitem__)
    return [order.index(number) for number in range(len(candidates))]


def is_copy(text: str, passage: str, share: float) -> bool:
    words, old = text.split(), passage.split()
    alike = SequenceMatcher(None, words, old, autojunk=False)
    return words == old or (share >= REPHRASED_SHARE and alike.ratio() > SAME)


def repeats(text: str) -> bool:
    """A word twice in a row, or the same four words twice."""
    words = text.lower().split()
    doubled = any(one == other and one.isalpha() for one, other in pairwise(words))
    runs = [tuple(words[at : at + _REPEATED_WORDS]) for at in range(len(words) - _REPEATED_WORDS + 1)]
    return doubled or len(set(runs)) < len(runs)


def _breaks_a_word(model: DiffusionGemma, ids: list[int], nats: list[float]) -> bool:
    texts = model.detokenizer.texts(ids)[0]
    return any(
        told < BROKEN_NATS and before[-1:].isalpha() and text[:1].isalpha()
        for before, text, told in zip(texts, texts[1:], nats[1:], strict=False)
    )
