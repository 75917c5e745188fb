"""One measured figure: ours, what it is held against, and the target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """peer: the same figure of `peer_name`, measured in the same run; without one, there is no ratio.

    at_most: the target, for the ratio if `of_ratio`, else for ours.
    """

    name: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    at_most: float | None = None
    of_ratio: bool = False

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    @property
    def target(self) -> str:
        if self.at_most is None:
            return ""
        return f"≤ {self.at_most:.4g} {'× ' + self.peer_name if self.of_ratio else self.unit}"

    @property
    def met(self) -> bool | None:
        value = self.ratio if self.of_ratio else self.ours
        return None if self.at_most is None or value is None else value <= self.at_most

    def as_json(self) -> dict[str, object]:
        rounded = {
            name: None if value is None else round(value, 3)
            for name, value in (("ours", self.ours), ("peer", self.peer), ("ratio", self.ratio))
        }
        return {
            "name": self.name,
            "unit": self.unit,
            **rounded,
            "peer_name": self.peer_name,
            "target": self.target,
            "met": self.met,
        }


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -int(-share * len(ranked) // 1) - 1))]
