"""Our denoising step against the library's: same weights, precision, prompt and threads, turn by turn."""

from __future__ import annotations

import copy
import statistics
import threading
import time
from typing import TypedDict

import torch

from engine.events import DraftRequest, Finished, LoadRequest
from engine.session import Session

STEPS = 32
ROUNDS = 3
BEFORE = "Dear Anna,\n\nThank you for your letter. We were glad to hear from you."


class Comparison(TypedDict):
    name: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    ratio: float


def compare() -> list[Comparison]:
    """The starter model on the CPU; a step's share of everything from the prompt to the finished canvas."""
    session = Session()
    for _event in session.load(
        LoadRequest(request_id="bench", model="starter", device="cpu"), threading.Event()
    ):
        pass
    model = session.model
    ids = torch.tensor([model.tokenizer.start_ids + model.tokenizer.encode(BEFORE)])
    config = copy.deepcopy(model.text_model.generation_config)
    config.max_denoising_steps = STEPS
    config.confidence_threshold = 1e-30  # never stop early

    def ours() -> None:
        request = DraftRequest(request_id="bench", before=BEFORE, max_steps=STEPS, early_stop=False)
        last = list(session.draft(request, threading.Event()))[-1]
        assert isinstance(last, Finished)

    def peer() -> None:
        model.text_model.generate(ids, generation_config=config, max_new_tokens=model.canvas_tokens)

    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for turn in range(ROUNDS + 1):
        for name, run in (("ours", ours), ("peer", peer)):
            began = time.perf_counter()
            run()
            if turn:  # the first turn warms up
                times[name].append((time.perf_counter() - began) * 1000 / STEPS)
    ours_ms, peer_ms = statistics.median(times["ours"]), statistics.median(times["peer"])
    return [
        Comparison(
            name="denoising step",
            unit="ms",
            ours=round(ours_ms, 1),
            peer=round(peer_ms, 1),
            peer_name="transformers generate()",
            ratio=round(ours_ms / peer_ms, 3),
        )
    ]
