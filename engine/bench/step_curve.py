"""Time, certainty and likelihood by the most steps allowed, beside autoregressive decoding."""

from __future__ import annotations

import statistics

from engine.bench.autoregressive import Autoregressive
from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row, row
from engine.bench.text_quality import Written, decoded, drafted

PEER = "autoregressive"


def measure(setup: BenchSetup) -> list[Row]:
    by_hand = Autoregressive(setup.model)
    drafts: dict[int, list[Written]] = {steps: [] for steps in setup.sizes.max_steps}
    peers: list[Written] = []
    openings = setup.sizes.openings
    drafted(setup, openings[-1], max_steps=1)  # warms up
    decoded(setup, openings[-1], by_hand.decode)
    for turn, (steps, texts) in enumerate(drafts.items()):
        # One opening after the other: a prompt just read would not be read again.
        texts += [drafted(setup, before, max_steps=steps) for before in openings]
        peers += [decoded(setup, before, by_hand.decode) for before in openings[turn :: len(drafts)]]

    size = setup.model.canvas_tokens
    peer_s = statistics.median(text.seconds for text in peers)
    peer_likely = statistics.mean(text.log_probability for text in peers)
    rows = []
    for steps, texts in drafts.items():
        at = f"curve: up to {steps} steps"
        seconds = statistics.median(text.seconds for text in texts)
        entropy = statistics.mean(text.entropy for text in texts)
        likely = statistics.mean(text.log_probability for text in texts)
        taken = statistics.mean(text.passes for text in texts)
        rows += [
            row(f"{at}: steps taken", "steps", taken, steps, "allowed"),
            row(f"{at}: time", "s", seconds, peer_s, PEER),
            row(f"{at}: tokens/s", "tokens/s", size / seconds, size / peer_s, PEER),
            row(f"{at}: mean final entropy", "nats", entropy),
            row(f"{at}: log-probability per token", "nats", likely, peer_likely, PEER),
        ]
    return rows
