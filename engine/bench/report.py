"""Rows of measured figures, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class Row(TypedDict):
    """ours, against the same figure of `peer_name` from the same run; ratio: ours / peer."""

    name: str
    unit: str
    ours: float
    peer: float | None
    peer_name: str
    ratio: float | None


def row(name: str, unit: str, ours: float, peer: float | None = None, peer_name: str = "") -> Row:
    return Row(
        name=name,
        unit=unit,
        ours=_rounded(ours),
        peer=None if peer is None else _rounded(peer),
        peer_name=peer_name,
        ratio=_rounded(ours / peer) if peer else None,
    )


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of it, from a heading on."""
    cells = [("", "ours", "", "peer", "ratio")]
    for one in rows:
        peer = "" if one["peer"] is None else f"{one['peer']:g}  {one['peer_name']}"
        ratio = "" if one["ratio"] is None else f"{one['ratio']:g}"
        cells.append((one["name"], f"{one['ours']:g}", one["unit"], peer, ratio))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
