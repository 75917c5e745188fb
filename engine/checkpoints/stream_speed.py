"""How fast a model drafts whose experts are copied to the card in each step, as its link allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.checkpoints.memory_plan import MemoryPlan
from engine.checkpoints.units import memory_text
from engine.protocol.events import Device

STEPS = (14, 24)
"""Of a paragraph: few and many."""


@dataclass(frozen=True)
class StreamSpeed:
    """Computed, from what the link was measured to carry: the card computes meanwhile."""

    pcie_generation: int
    pcie_lanes: int
    """0: not told."""
    link_bytes_per_s: int
    """0: not measured."""
    step_bytes: int
    weights_bytes: int
    """All of them."""

    @property
    def step_s(self) -> float:
        return self.step_bytes / self.link_bytes_per_s

    @property
    def paragraph_s(self) -> tuple[float, float]:
        """With few and with many steps."""
        few, many = STEPS
        return few * self.step_s, many * self.step_s

    @property
    def words(self) -> str:
        """`PCIe 4 × 8, 12.4 GB/s · 11.6 GB a step · about 1 s a step, 15 to 25 s a paragraph`. Bytes are
        counted as memory is, those of the link too.
        """
        link = ", ".join(filter(None, (self._pcie, f"{memory_text(self.link_bytes_per_s)}/s")))
        low, high = (_rounded_up(seconds, 5) for seconds in self.paragraph_s)
        paragraph = f"{low} to {high} s" if low < high else f"{high} s"
        about = "about" if link_limits(self.step_bytes, self.weights_bytes) else "at least"
        step = f"{about} {_rounded_up(self.step_s, 0.5)} s a step, {paragraph} a paragraph"
        return f"{link} · {memory_text(self.step_bytes)} a step · {step}"

    @property
    def words_before(self) -> str:
        """Until the link has been measured, about as long."""
        told = (self._pcie, f"{memory_text(self.step_bytes)} a step", "how long that takes is not known yet")
        return " · ".join(filter(None, told))

    @property
    def _pcie(self) -> str:
        known = self.pcie_generation and self.pcie_lanes
        return f"PCIe {self.pcie_generation} × {self.pcie_lanes}" if known else ""


def stream_speed(plan: MemoryPlan, device: Device) -> StreamSpeed | None:
    """None where nothing is streamed."""
    if not plan.streamed_bytes:
        return None
    return StreamSpeed(
        device.pcie_generation,
        device.pcie_lanes,
        device.link_bytes_per_s,
        plan.streamed_bytes,
        plan.weights_bytes,
    )


def link_limits(streamed_bytes: int, weights_bytes: int) -> bool:
    """Whether a step waits for the link: where little is copied, the card's own work may take longer."""
    return 3 * streamed_bytes >= weights_bytes


def _rounded_up(seconds: float, unit: float) -> str:
    return f"{math.ceil(seconds / unit) * unit:g}"
