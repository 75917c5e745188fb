"""What a text takes and how likely it is to the model: drafted, and decoded one token at a time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from engine.bench.autoregressive import Autoregressive, decode_by_library
from engine.bench.baselines import LibraryModel
from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row, row
from engine.diffusion.passage import WHOLE_SENTENCE
from engine.model import likelihood
from engine.model.diffusion_gemma import DiffusionGemma
from engine.protocol.events import Finished, Frame
from engine.protocol.requests import DraftPlace, Extent

BY_HAND = "autoregressive"
BY_LIBRARY = "autoregressive, by the library's encoder"


class Written(NamedTuple):
    """One text, or a figure over several."""

    seconds: float
    """With the opening read."""
    text_tokens: float
    """Before the end token."""
    passes: float
    """Through the network, without the opening's."""
    entropy: float
    """The mean of a draft's last frame, in nats."""
    log_probability: float
    """Of the text's tokens, in nats."""


def speed(setup: BenchSetup) -> list[Row]:
    """Tokens per network pass and per second at the model's own defaults, beside autoregressive decoding."""
    model, last = setup.model, setup.sizes.openings[-1]
    by_hand, library = Autoregressive(model), LibraryModel(setup).model
    size, warmth = model.canvas_tokens, (model.sampler.t_min + model.sampler.t_max) / 2
    sampled = f"autoregressive, temperature {warmth:g}"
    ways: dict[str, Callable[[str], Written]] = {
        "ours": partial(_drafted, setup),
        BY_HAND: partial(_decoded, setup, by_hand.decode),
        BY_LIBRARY: partial(_decoded, setup, partial(decode_by_library, library)),
        sampled: partial(_decoded, setup, partial(by_hand.decode, temperature=warmth)),
    }
    _drafted(setup, last, max_steps=1)  # warms up; the next prompt is another one
    for name in (BY_HAND, BY_LIBRARY):
        ways[name](last)
    written = [[write(before) for write in ways.values()] for before in setup.sizes.openings]
    found = dict(zip(ways, map(_typical, zip(*written, strict=True)), strict=True))
    ours, canvas = found["ours"], f"a canvas of {size}"
    per_pass, per_second = ours.text_tokens / ours.passes, ours.text_tokens / ours.seconds
    rates = {name: size / texts.seconds for name, texts in found.items()}
    rows = [
        row(f"network passes for {canvas}", "passes", ours.passes, size, BY_HAND),
        row(f"tokens per network pass, {canvas}", "tokens", size / ours.passes, 1, BY_HAND),
        row("tokens per network pass, before the end token", "tokens", per_pass, 1, BY_HAND),
        row("tokens per second, before the end token", "tokens/s", per_second, rates[BY_HAND], BY_HAND),
    ]
    for name in (BY_HAND, BY_LIBRARY):
        rows.append(row(f"tokens per second, {canvas}", "tokens/s", rates["ours"], rates[name], name))
    for name in (BY_HAND, sampled):
        likely = found[name].log_probability
        rows.append(row("log-probability per token", "nats", ours.log_probability, likely, name))
    return rows


def curve(setup: BenchSetup) -> list[Row]:
    """Time, certainty and likelihood by the most steps allowed, beside autoregressive decoding."""
    decoded = partial(_decoded, setup, Autoregressive(setup.model).decode)
    drafts: dict[int, Written] = {}
    peers: list[Written] = []
    allowed, openings = setup.sizes.max_steps, setup.sizes.openings
    _drafted(setup, openings[-1], max_steps=1)  # warms up
    decoded(openings[-1])
    for turn, steps in enumerate(allowed):
        # One opening after the other: a prompt just read would not be read again.
        drafts[steps] = _typical([_drafted(setup, before, max_steps=steps) for before in openings])
        peers += map(decoded, openings[turn :: len(allowed)])
    size, peer = setup.model.canvas_tokens, _typical(peers)
    likely = peer.log_probability
    rows = []
    for steps, ours in drafts.items():
        at = f"curve: up to {steps} steps"
        rows += [
            row(f"{at}: steps taken", "steps", ours.passes, steps, "allowed"),
            row(f"{at}: time", "s", ours.seconds, peer.seconds, BY_HAND),
            row(f"{at}: tokens/s", "tokens/s", size / ours.seconds, size / peer.seconds, BY_HAND),
            row(f"{at}: mean final entropy", "nats", ours.entropy),
            row(f"{at}: log-probability per token", "nats", ours.log_probability, likely, BY_HAND),
        ]
    return rows


def sentence(setup: BenchSetup) -> list[Row]:
    """The first sentence of a draft: on the short canvas of a sentence, and cut from a paragraph's."""
    found: dict[Extent, list[Written]] = {"sentence": [], "paragraph": []}
    for seed, before in enumerate(setup.sizes.openings * setup.sizes.sentence_rounds):
        for extent, texts in found.items():
            setup.prepare(before)
            place = DraftPlace(before=before, extent=extent, min_tokens=2)
            texts += (
                _judged(setup, before, event, _first_sentence(event.text))
                for event in setup.draft_places((place,), seed=seed)
                if isinstance(event, Finished)
            )
    ours, peer = (_typical(texts) for texts in found.values())
    name = "a paragraph's canvas"
    return [
        row("a sentence: time", "s", ours.seconds, peer.seconds, name),
        row("a sentence: passes", "passes", ours.passes, peer.passes, name),
        row("a sentence: tokens", "tokens", ours.text_tokens, peer.text_tokens, name),
        row(
            "a sentence: log-probability per token", "nats", ours.log_probability, peer.log_probability, name
        ),
    ]


def _first_sentence(text: str) -> str:
    found = WHOLE_SENTENCE.search(text)
    return text[: found.end()] if found else text


def _typical(texts: Sequence[Written]) -> Written:
    """The median of the times, the means of the rest."""
    seconds, *others = zip(*texts, strict=True)
    return Written(statistics.median(seconds), *map(statistics.mean, others))


def _drafted(setup: BenchSetup, before: str, **sampling: Any) -> Written:
    """One canvas, as the app drafts it."""
    entropy = 0.0
    for event in setup.draft(before, **sampling):
        if isinstance(event, Frame):
            entropy = sum(token.entropy for token in event.tokens) / len(event.tokens)
        elif isinstance(event, Finished):
            written = _judged(setup, before, event, event.text)
    return written._replace(entropy=entropy)


def _judged(setup: BenchSetup, before: str, drafted: Finished, text: str) -> Written:
    """text: all of what was drafted, or its beginning."""
    stats, ids = drafted.stats, setup.model.tokenizer.encode(text)
    judged = mean_log_probability(setup.model, setup.prompt_ids(before), ids)
    tokens = stats.tokens if text == drafted.text else len(ids)
    return Written(stats.prefill_s + stats.denoise_s, tokens, stats.steps, 0.0, judged)


def _decoded(setup: BenchSetup, decode: Callable[[list[int], int], list[int]], before: str) -> Written:
    """As many tokens as a canvas has, what follows an end token included."""
    model, given = setup.model, setup.prompt_ids(before)
    began = time.perf_counter()
    ids = decode(given, model.canvas_tokens)
    seconds = time.perf_counter() - began
    tokens = next((n for n, index in enumerate(ids) if index in model.end_ids), len(ids))
    text = "".join(model.detokenizer.texts(ids[:tokens])[0])
    judged = mean_log_probability(model, given, model.tokenizer.encode(text))
    return Written(seconds, tokens, len(ids), 0.0, judged)


def mean_log_probability(model: DiffusionGemma, before: list[int], ids: list[int]) -> float:
    """Nats per token of ids, each predicted from `before` and the ids before it."""
    cache = model.new_cache()
    model.prefill(cache, before)
    (nats,) = likelihood.causal(model, cache, before[-1], [ids])
    return nats.mean().item()
