"""Draft and prepare requests as lines had them before they had places: all fields side by side."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.protocol.requests import Request, SamplingOverrides

_RENAMED = {"start": "start_text", "strength": "renoise_share"}
_CONSTRAINTS = ("pins", "min_tokens", "length_tokens", *_RENAMED)
_TEXTS = ("before", "after", "instruction")


def from_flat(fields: dict[str, Any]) -> Request:
    """`more` are further places, with the first one's constraints. Raises ValueError for anything else."""
    texts = {name: fields[name] for name in _TEXTS if name in fields}
    more = msgspec.convert(fields.get("more", ()), tuple[dict[str, Any], ...])
    held = {_RENAMED.get(name, name): fields[name] for name in _CONSTRAINTS if name in fields}
    places = [held | place for place in (texts, *more)]
    sampling = {name: fields[name] for name in SamplingOverrides.__struct_fields__ if name in fields}
    placed = {"place": places[0], "places": places, "sampling": sampling} | fields
    request: Request = msgspec.convert(placed, Request)
    return request
