"""A history of 100,000 drafts: how soon the first rows are there. Prints the findings as JSON."""

from __future__ import annotations

import json
import sys
from functools import partial
from itertools import accumulate
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter

from PySide6.QtCore import QCoreApplication, QEventLoop

from app.history import changes, queries
from app.history.keeper import HistoryKeeper
from app.history.record import Asked, DraftRecord, VariantRecord
from app.history.store import HistoryStore
from app.history.ui.draft_list import DraftList
from engine.protocol.events import Stats
from engine.protocol.requests import DraftPlace, DraftRequest

DRAFTS, WORDS, PROMPT_CHARACTERS = 100_000, 120, 3000
ROUNDS = 15
_STATS = Stats(
    steps=12,
    tokens=160,
    prefill_s=0.1,
    denoise_s=1.0,
    tokens_per_s=160.0,
    tokens_per_step=13.0,
    device="cpu",
    precision="fp32",
    stopped_early=True,
)


class Prose:
    """Words as often as in a language: the commonest in nearly every draft."""

    def __init__(self) -> None:
        self._random = Random(1)
        letters = "aeioubcdfghklmnprst"
        self.words = ["".join(self._random.choices(letters, k=2 + n % 8)) for n in range(30_000)]
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(len(self.words))))

    def text(self, words: int) -> str:
        return " ".join(self._random.choices(self.words, cum_weights=self._weights, k=words)) + "."


def fill(folder: Path, prose: Prose) -> float:
    """→ seconds a draft."""
    keeper = HistoryKeeper(folder, print)
    before = prose.text(PROMPT_CHARACTERS)
    began = perf_counter()
    for number in range(DRAFTS):
        begin = number % 5000
        place = DraftPlace(before=before[begin : begin + PROMPT_CHARACTERS])
        request = DraftRequest(request_id=f"{number:032x}", places=(place,), seed=number)
        variant = VariantRecord(text=prose.text(WORDS), seed=number, stats=_STATS)
        record = DraftRecord(
            at="2026-01-01T00:00:00+00:00",
            name="ferry.md",
            place="late again.",
            verb="Draft paragraph",
            asked=Asked(request=request, prompt=place.before),
            variants=(variant,),
        )
        keeper.run(partial(changes.add, record=record))
        if number % 10_000 == 0:
            print(f"{number} drafts", file=sys.stderr, flush=True)
    taken = (perf_counter() - began) / DRAFTS
    keeper.close()
    return taken


def shown_ms(drafts: DraftList, query: str) -> float:
    """Until the first rows are there."""
    loop = QEventLoop()
    drafts.loaded.connect(loop.quit)
    began = perf_counter()
    drafts.load(query)
    loop.exec()
    drafts.loaded.disconnect(loop.quit)
    return 1000 * (perf_counter() - began)


def probe() -> dict[str, object]:
    application = QCoreApplication([])
    prose = Prose()
    kinds = {
        "list": [""] * ROUNDS,
        "search, words of most drafts": prose.words[:ROUNDS],
        "search, rare words": prose.words[-ROUNDS:],
        "search, two words": [f"{prose.words[n]} {prose.words[50 * n]}" for n in range(ROUNDS)],
        "search, one letter": list("aeioubcdfghklmn"[:ROUNDS]),
        "search, nothing found": [f"qqq{n}" for n in range(ROUNDS)],
    }
    with TemporaryDirectory() as folder:
        added_s = fill(Path(folder), prose)
        store = HistoryStore(folder=Path(folder))
        drafts = DraftList(store)
        shown_ms(drafts, "")
        found = {kind: [shown_ms(drafts, query) for query in queries_] for kind, queries_ in kinds.items()}
        size: list[tuple[int, int]] = []
        store.read(queries.count, size.append)
        store.close()
        application.processEvents()
    return {"added_ms": 1000 * added_s, "mb": size[0][1] / 1e6, "shown_ms": found}


if __name__ == "__main__":
    print(json.dumps(probe()))
