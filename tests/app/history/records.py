"""Drafts for a history."""

from __future__ import annotations

from typing import Any

from app.history.record import Asked, DraftRecord, VariantRecord
from engine.protocol.requests import DraftPlace, DraftRequest

AT = "2026-05-04T10:00:00+00:00"
FIRST_SEED = 7


def a_record(*texts: str, request_id: str = "one", **fields: Any) -> DraftRecord:
    """With a variant of each text, whose seeds go up."""
    request = DraftRequest(
        request_id=request_id,
        places=(DraftPlace(before="The ferry was late again."),),
        variants=len(texts),
        seed=FIRST_SEED,
    )
    variants = tuple(VariantRecord(text=text, seed=FIRST_SEED + n) for n, text in enumerate(texts))
    told: dict[str, Any] = {
        "at": AT,
        "name": "ferry.md",
        "place": "was late again.",
        "verb": "Draft paragraph",
    }
    asked = Asked(request=request, prompt="The ferry was late again.")
    return DraftRecord(**told | fields, asked=asked, variants=variants)
