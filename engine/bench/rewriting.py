"""Sentences rewritten in place: what it takes, how often nothing changes, how likely text and seam are."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from engine.bench.autoregressive import Autoregressive
from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row, row
from engine.diffusion.canvas_plan import AFTER_TOKENS
from engine.diffusion.ranking import is_copy
from engine.model import likelihood
from engine.protocol.events import DraftEvent, Finished, Frame
from engine.protocol.requests import DraftPlace

OPENINGS = (
    "We took the early train to the coast.",
    "The recipe is simple.",
    "Dear Mr. Keller,\n\nI am writing about the invoice.",
    "Our garden has changed a lot this year.",
    "The town library opens again on Monday.",
    "Once there was a small boat.",
    "Last week the team met in Hamburg.",
    "Many people think that cities are too loud.",
    "Dear Tom,\n\nI hope you are well.",
    "The report covers the first half of the year.",
)
WARMTH = 0.6
GAPS = 4
_SENTENCE = re.compile(r"[^.!?\s][^.!?\n]+[.!?]+")


class _Verb(NamedTuple):
    """As the app asks for it."""

    name: str
    renoise_share: float
    length_shares: tuple[float, ...]
    steps_share: float
    target: float
    """Of a full draft's time."""


VERBS = (
    _Verb("Polish", 0.25, (1.0, 1.0, 1.0), 1 / 6, 1 / 5),
    _Verb("Rephrase", 0.6, (1.0, 1.0, 1.0, 1.0), 1 / 3, 1 / 3),
    _Verb("Rewrite", 1.0, (1.0, 1.0, 0.8, 1.2), 1 / 2, 1.0),
    _Verb("from noise, one draft", 1.0, (1.0,), 1.0, 1.0),
)


@dataclass(frozen=True)
class _Sentence:
    before: str
    text: str
    after: str


@dataclass(frozen=True)
class _Score:
    """Mean nats per token."""

    span: float
    seam: float
    """Of the tokens after the span."""


def measure(setup: BenchSetup) -> list[Row]:
    sentences = _sentences(setup)
    originals = [_score(setup, each, each.text) for each in sentences]
    rounds = setup.sizes.slow_rounds
    full = statistics.median(_timed(setup.draft(each.before))[1] for each in sentences[: rounds + 1])
    rows = []
    for verb in VERBS:
        rows += _rewritten(setup, verb, sentences, originals, full)
    return rows + _gaps(setup, sentences)


def _rewritten(
    setup: BenchSetup, verb: _Verb, sentences: list[_Sentence], originals: list[_Score], full: float
) -> list[Row]:
    texts, seconds = [], []
    for number, sentence in enumerate(sentences):
        place = DraftPlace(
            before=sentence.before,
            after=sentence.after,
            start_text=sentence.text,
            renoise_share=verb.renoise_share,
            joins_after=True,
            length_shares=verb.length_shares,
        )
        drafts = setup.draft_places(
            (place,), len(verb.length_shares), 10 * number, steps_share=verb.steps_share
        )
        events, taken = _timed(drafts)
        texts.append(next(event.text for event in events if isinstance(event, Finished) and not event.rank))
        seconds.append(taken)
    scores = [_score(setup, each, text) for each, text in zip(sentences, texts, strict=True)]
    copies = [is_copy(text, each.text, 1.0) for each, text in zip(sentences, texts, strict=True)]
    seams = [ours.seam >= old.seam for ours, old in zip(scores, originals, strict=True)]
    span, old_span = (statistics.mean(each.span for each in of) for of in (scores, originals))
    seam, old_seam = (statistics.mean(each.seam for each in of) for of in (scores, originals))
    name = f"rewrite, {verb.name}"
    return [
        row(f"{name}: time", "s", statistics.mean(seconds), full, "a full draft"),
        row(f"{name}: copies", "%", 100 * statistics.mean(copies), 10, "target"),
        row(f"{name}: seam at least the original's", "%", 100 * statistics.mean(seams), 70, "target"),
        row(f"{name}: log-probability per token of the span", "nats", span, old_span, "the original"),
        row(f"{name}: of the {AFTER_TOKENS} tokens after it", "nats", seam, old_seam, "the original"),
    ]


def _gaps(setup: BenchSetup, sentences: list[_Sentence]) -> list[Row]:
    places = tuple(
        DraftPlace(before=each.before, after=each.after, start_text=each.text, joins_after=True)
        for each in sentences[:GAPS]
    )
    together, seconds = _timed(setup.draft_places(places))
    alone = [_timed(setup.draft_places((place,), seed=seed)) for seed, place in enumerate(places)]
    name, peer = f"{GAPS} places in one batch", "one after another"
    passes = max(event.step for event in together if isinstance(event, Frame))
    passes_alone = sum(
        event.stats.steps for events, _ in alone for event in events if isinstance(event, Finished)
    )
    return [
        row(f"{name}: time", "s", seconds, sum(taken for _, taken in alone), peer),
        row(f"{name}: passes", "passes", passes, passes_alone, peer),
    ]


def _timed(events: Iterable[DraftEvent]) -> tuple[list[DraftEvent], float]:
    began = time.perf_counter()
    return list(events), time.perf_counter() - began


def _sentences(setup: BenchSetup) -> list[_Sentence]:
    """Of documents that the model's own encoder wrote, one token at a time: the third and fourth of each,
    never the first two or the last one.
    """
    model, sizes = setup.model, setup.sizes
    peer, found = Autoregressive(model), list[_Sentence]()
    openings = (*sizes.openings, *OPENINGS) if sizes.sentences > len(sizes.openings) else sizes.openings
    for seed in range(-(-sizes.sentences // len(openings))):
        for opening in openings:
            ids = peer.decode(setup.prompt_ids(opening), sizes.document_tokens, WARMTH, seed)
            end = next((at for at, index in enumerate(ids) if index in model.end_ids), len(ids))
            text = opening + "".join(model.detokenizer.texts(ids[:end])[0])
            matches = [each for each in _SENTENCE.finditer(text) if len(each.group()) < 140]
            found += [
                _Sentence(text[: each.start()], each.group(), text[each.end() :])
                for each in islice(matches[2:-1], 2)
            ]
    return found[: sizes.sentences]


def _score(setup: BenchSetup, sentence: _Sentence, text: str) -> _Score:
    model, kept = setup.model, sentence.before.rstrip(" ")
    before = setup.prompt_ids(sentence.before)
    ids = model.tokenizer.encode(sentence.before[len(kept) :] + text)
    after = [*model.tokenizer.encode(sentence.after), model.end_id][:AFTER_TOKENS]
    cache = model.new_cache()
    model.prefill(cache, before)
    (nats,) = likelihood.causal(model, cache, before[-1], [ids + after])
    return _Score(nats[: len(ids)].mean().item(), nats[len(ids) :].mean().item())
