from __future__ import annotations

import shutil
from dataclasses import replace

import msgspec
import pytest

from app.models.first_run_offer import STARTER_SHOWS, first_run_offer
from app.models.progress_text import time_left
from app.settings.schema import Settings
from engine.checkpoints.catalogue import BUNDLED, GEMMA_26B
from engine.hardware.device_groups import combined_device
from tests.app.models.desk import CPU, GIB, RTX_3060, RTX_4090

OWN = Settings(model="/home/writer/own")
NEEDS = "DiffusionGemma 26B needs a graphics card with 24 GB"


def test_what_the_starter_model_is_for_is_told_to_whoever_has_it() -> None:
    for devices in ((RTX_4090, CPU), (RTX_3060, CPU), (CPU,)):
        assert first_run_offer(Settings(), devices) == f"{STARTER_SHOWS} {first_run_offer(OWN, devices)}"


def test_a_card_that_can_run_it() -> None:
    assert first_run_offer(OWN, (RTX_4090, CPU)) == (
        "Your RTX 4090 can run DiffusionGemma 26B in 4-bit: 51.7 GB to download, fits with 4.6 GB to spare."
    )


def test_a_card_that_is_busy() -> None:
    words = first_run_offer(Settings(), (msgspec.structs.replace(RTX_4090, free_bytes=16 * GIB), CPU))
    assert "once other programs have freed 1.4 GB: 51.7 GB to download" in words


def test_a_card_that_is_too_small() -> None:
    assert (
        first_run_offer(OWN, (RTX_3060, CPU)) == f"{NEEDS}; your RTX 3060 has 12 GB. The starter model stays."
    )


SECOND = msgspec.structs.replace(RTX_3060, id="cuda:1", uuid="GPU-3061")
(TWO_3060,) = combined_device((RTX_3060, SECOND))


def test_cards_of_which_none_is_large_enough_but_all_together_are() -> None:
    words = first_run_offer(OWN, (RTX_3060, SECOND, TWO_3060, CPU))
    assert words.startswith(
        "Your 2 × RTX 3060 can run DiffusionGemma 26B in 4-bit: 51.7 GB to download, fits"
    )


def test_cards_that_are_busy_are_large_enough_all_the_same() -> None:
    busy = [msgspec.structs.replace(card, free_bytes=8 * GIB) for card in (RTX_3060, SECOND)]
    words = first_run_offer(OWN, (*busy, *combined_device(busy), CPU))
    assert words.startswith("Your 2 × RTX 3060 can run DiffusionGemma 26B in tight 4-bit once other programs")


def test_one_card_that_was_chosen_stays_alone() -> None:
    words = first_run_offer(replace(OWN, device="GPU-3061"), (RTX_3060, SECOND, TWO_3060, CPU))
    assert words.startswith(f"{NEEDS}; your RTX 3060 has 12 GB.")


def test_no_card() -> None:
    laptop = msgspec.structs.replace(CPU, total_bytes=16 * GIB, free_bytes=9 * GIB)
    assert first_run_offer(OWN, (laptop,)) == f"{NEEDS}; this computer has none. The starter model stays."


def test_no_card_but_memory_enough() -> None:
    assert "it would run, but very slowly" in first_run_offer(Settings(), (CPU,))


def test_no_offer_of_what_is_here() -> None:
    assert first_run_offer(Settings(model=GEMMA_26B.name), (RTX_4090, CPU)) == ""
    shutil.copytree(BUNDLED / "starter", GEMMA_26B.folder)
    assert first_run_offer(Settings(), (RTX_4090, CPU)) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (5, "Less than a minute left"),
        (61, "About 1 minute left"),
        (790, "About 13 minutes left"),
        (2 * 3600 + 100, "About 2 hours left"),
        (5 * 86400, "About 5 days left"),
    ],
)
def test_time_left(seconds: float | None, words: str) -> None:
    assert time_left(seconds) == words
