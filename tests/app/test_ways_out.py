from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from app.settings import Settings
from app.ways_out import Way, ways_out
from engine.cards import together
from engine.catalogue import GEMMA_26B
from engine.events import Device, Ready
from tests.fakes import ready

GIB = 2**30
STARTER = Way("Use the starter model", {"model": "starter", "precision": "auto"})
AGAIN = Way("Close other programs and try again")


@dataclass
class Told:
    """What Drafting knows."""

    devices: tuple[Device, ...]
    ready: Ready | None = None


def card(total: float, free: float) -> Device:
    return Device(
        id="cuda:0",
        name="NVIDIA GeForce RTX 4090",
        total_bytes=int(total * GIB),
        free_bytes=int(free * GIB),
        uuid="GPU-4090",
    )


def drafting_on(device: Device, precision: str) -> Told:
    return Told((device,), msgspec.structs.replace(ready(""), device=device, precision=precision))


def gemma(precision: str = "auto", context_tokens: int = 2048) -> Settings:
    return Settings(model=GEMMA_26B.name, precision=precision, context_tokens=context_tokens)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "told", "ways"),
    [
        (gemma("bf16"), Told((card(24, 23.4),)), [Way("Use 4-bit", {"precision": "4-bit"}), STARTER]),
        (gemma(), Told((card(24, 23.4),)), [Way("Use tight 4-bit", {"precision": "4-bit-tight"}), AGAIN]),
        (gemma(), Told((card(24, 9),)), [AGAIN, STARTER]),
        (gemma(), Told((card(8, 7.5),)), [STARTER]),
        (gemma("bf16"), Told((card(12, 11.5),)), [STARTER]),
        (gemma(), Told(()), [AGAIN, STARTER]),
        (
            gemma("4-bit-tight", 32768),
            drafting_on(card(24, 18.7), "4-bit-tight"),
            [Way("Use a smaller context", {"context_tokens": 8192}), AGAIN],
        ),
        (Settings(), drafting_on(card(24, 0.05), "bf16"), [AGAIN]),
        (Settings(model="/nowhere"), Told((card(24, 23.4),)), [AGAIN, STARTER]),
    ],
)
def test_out_of_memory(settings: Settings, told: Told, ways: list[Way]) -> None:
    assert list(ways_out("out-of-memory", settings, told).ways) == ways  # type: ignore[arg-type]


def test_what_was_needed_and_what_was_free_is_told() -> None:
    reason = ways_out("out-of-memory", gemma("bf16"), Told((card(24, 23.4),))).reason  # type: ignore[arg-type]
    assert reason == "DiffusionGemma 26B in full (bf16) needs about 48.6 GB; RTX 4090 had 22.9 GB free."


def test_cards_together_are_named_where_they_are_what_auto_takes() -> None:
    cards = (card(12, 11.5), card(12, 11.5))
    told = Told((*cards, *together(cards)))
    reason = ways_out("out-of-memory", gemma(), told).reason  # type: ignore[arg-type]
    assert reason.endswith("; 2 × RTX 4090 had 22.1 GB free.")


def test_a_device_that_is_gone() -> None:
    told = Told((card(24, 23.4),))
    found = ways_out("device-missing", Settings(device="GPU-7"), told)  # type: ignore[arg-type]
    assert found.ways == (Way("Use RTX 4090", {"device": "GPU-4090"}),)


@pytest.mark.parametrize("kind", ["", "bug", "device-lost"])
def test_other_faults_have_none(kind: str) -> None:
    assert ways_out(kind, gemma(), Told((card(24, 23.4),))).ways == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "words"), [("input", "connect the disk"), ("weights-broken", "")])
def test_a_model_that_cannot_be_loaded_leaves_another_one(kind: str, words: str) -> None:
    found = ways_out(kind, gemma(), Told((card(24, 23.4),)))  # type: ignore[arg-type]
    assert found.ways == (STARTER,)
    assert words in found.reason
    assert ways_out(kind, Settings(), Told(())).ways == ()  # type: ignore[arg-type]
    drafting = drafting_on(card(24, 5), "4-bit")
    assert ways_out(kind, gemma(), drafting).ways == ()  # type: ignore[arg-type]
