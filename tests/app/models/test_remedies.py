from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from app.models.remedies import Remedies, Remedy, remedies
from app.settings.schema import Settings
from engine.checkpoints.catalogue import GEMMA_26B
from engine.hardware.device_groups import combined_device
from engine.protocol.events import Device, Ready
from tests.fakes import ready

GIB = 2**30
STARTER = Remedy("Use the starter model", {"model": "starter", "precision": "auto"})
AGAIN = Remedy("Close other programs and try again")


def card(total: float, free: float) -> Device:
    return Device(
        id="cuda:0",
        name="NVIDIA GeForce RTX 4090",
        total_bytes=int(total * GIB),
        free_bytes=int(free * GIB),
        uuid="GPU-4090",
    )


def loaded_on(device: Device, precision: str) -> Ready:
    return msgspec.structs.replace(ready(""), device=device, precision=precision)


def cards(total: float, *free: float) -> tuple[Device, ...]:
    found = [
        msgspec.structs.replace(card(total, there), id=f"cuda:{index}", uuid=f"GPU-{index}")
        for index, there in enumerate(free)
    ]
    return (*found, *combined_device(found))


def gemma(precision: str = "auto", context_tokens: int = 2048) -> Settings:
    return Settings(model=GEMMA_26B.name, precision=precision, context_tokens=context_tokens)  # type: ignore[arg-type]


def card_with_fp8(total: float, free: float) -> Device:
    return msgspec.structs.replace(card(total, free), fp8=True)


@pytest.mark.parametrize(
    ("settings", "device", "ways"),
    [
        (gemma("bf16"), card(24, 23.4), [Remedy("Use 4-bit", {"precision": "4-bit"}), STARTER]),
        (gemma("bf16"), card_with_fp8(32, 30), [Remedy("Use 8-bit", {"precision": "fp8"}), STARTER]),
        (gemma("bf16"), card(32, 30), [Remedy("Use 4-bit", {"precision": "4-bit"}), STARTER]),
        (gemma("fp8"), card(24, 23.4), [Remedy("Use 4-bit", {"precision": "4-bit"}), STARTER]),
        (gemma(), card(24, 23.4), [Remedy("Use tight 4-bit", {"precision": "4-bit-tight"}), AGAIN]),
        (gemma(), card(24, 9), [AGAIN, STARTER]),
        (gemma(), card(8, 7.5), [STARTER]),
        (gemma("bf16"), card(12, 11.5), [STARTER]),
        (gemma(), None, [AGAIN, STARTER]),
        (Settings(model="/nowhere"), card(24, 23.4), [AGAIN, STARTER]),
    ],
)
def test_a_load_out_of_memory(settings: Settings, device: Device | None, ways: list[Remedy]) -> None:
    devices = (device,) if device else ()
    assert list(remedies("out-of-memory", settings, devices, None).ways) == ways


@pytest.mark.parametrize(
    ("settings", "loaded", "ways"),
    [
        (
            gemma("4-bit-tight", 32768),
            loaded_on(card(24, 18.7), "4-bit-tight"),
            [Remedy("Use a smaller context", {"context_tokens": 8192}), AGAIN],
        ),
        (Settings(), loaded_on(card(24, 0.05), "bf16"), [AGAIN]),
    ],
)
def test_a_draft_out_of_memory(settings: Settings, loaded: Ready, ways: list[Remedy]) -> None:
    assert list(remedies("out-of-memory", settings, (loaded.device,), loaded).ways) == ways


BOTH = Remedy("Use 2 × RTX 4090", {"device": "GPU-0+GPU-1"})


@pytest.mark.parametrize(
    ("settings", "devices", "ways"),
    [
        (gemma(), cards(12, 11.5, 11.5), [BOTH, STARTER]),
        (gemma(), cards(24, 9, 11.5), [BOTH, AGAIN]),
        (gemma("bf16"), cards(24, 23, 23), [Remedy("Use 4-bit", {"precision": "4-bit"}), STARTER]),
        (gemma("bf16"), cards(32, 31, 31), [Remedy("Use 4-bit", {"precision": "4-bit"}), BOTH]),
        (gemma(), cards(8, 7, 7), [STARTER]),
    ],
)
def test_where_one_card_runs_out_all_together_are_a_way_if_they_have_room(
    settings: Settings, devices: tuple[Device, ...], ways: list[Remedy]
) -> None:
    chosen = replace(settings, device="GPU-0")
    assert list(remedies("out-of-memory", chosen, devices, None).ways) == ways
    joint = replace(settings, device="GPU-0+GPU-1")
    assert BOTH not in remedies("out-of-memory", joint, devices, None).ways


def test_where_a_draft_runs_out_on_one_card_all_together_come_before_a_smaller_context() -> None:
    devices = cards(24, 18.7, 16)
    loaded = loaded_on(devices[0], "4-bit-tight")
    chosen = replace(gemma("4-bit-tight", 32768), device="GPU-0")
    smaller = Remedy("Use a smaller context", {"context_tokens": 8192})
    assert remedies("out-of-memory", chosen, devices, loaded).ways == (BOTH, smaller)


def test_what_was_needed_and_what_was_free_is_told() -> None:
    reason = remedies("out-of-memory", gemma("bf16"), (card(24, 23.4),), None).reason
    assert reason == "DiffusionGemma 26B in full precision needs about 48.6 GB; RTX 4090 had 22.9 GB free."


def test_cards_together_are_named_where_they_are_what_auto_takes() -> None:
    both = replace(gemma("4-bit"), device="GPU-0+GPU-1")
    reason = remedies("out-of-memory", both, cards(12, 9.5, 9.5), None).reason
    assert reason.endswith("; 2 × RTX 4090 had 18.1 GB free.")


def test_what_was_free_is_not_told_where_it_was_enough() -> None:
    """Another program had it, and gave it back."""
    reason = remedies("out-of-memory", gemma(), (card(24, 23.4),), None).reason
    assert reason.startswith("DiffusionGemma 26B in 4-bit needs about ")
    assert "free" not in reason


def test_the_processor_is_called_that() -> None:
    (cpu,) = (msgspec.structs.replace(card(24, 9), id="cpu", name="AMD EPYC 7B13", uuid=""),)
    assert (
        remedies("device-missing", Settings(device="GPU-7"), (cpu,), None).ways[0].label
        == "Use the processor"
    )


def test_a_device_that_is_gone() -> None:
    found = remedies("device-missing", Settings(device="GPU-7"), (card(24, 23.4),), None)
    assert found.ways == (Remedy("Use RTX 4090", {"device": "GPU-4090"}),)


def test_a_device_without_code_in_pytorch_is_told_as_the_engine_tells_it() -> None:
    found = remedies("device-missing", Settings(), (card(24, 23.4),), None)
    assert (found.message, found.reason) == ("", "")


def test_a_lost_device() -> None:
    found = remedies("device-lost", gemma(), (card(24, 23.4),), None)
    assert "starts afresh" in found.reason
    assert found.ways == (Remedy("Try again"),)


def test_an_engine_that_the_system_ended_where_memory_was_short() -> None:
    cpu = Device(id="cpu", name="Xeon", total_bytes=16 * GIB, free_bytes=12 * GIB)
    found = remedies("engine-died", gemma("4-bit"), (cpu,), None)
    assert found.reason == "DiffusionGemma 26B in 4-bit needs about 17.0 GB; Xeon had 11.1 GB free."
    assert found.ways == (STARTER,)
    loaded = loaded_on(cpu, "4-bit")
    assert remedies("engine-died", gemma(), (cpu,), loaded).reason == found.reason
    roomy = Device(id="cpu", name="Xeon", total_bytes=64 * GIB, free_bytes=60 * GIB)
    assert remedies("engine-died", gemma("4-bit"), (roomy,), None) == remedies("", gemma(), (), None)
    assert remedies("engine-died", Settings(model="/nowhere"), (cpu,), None).ways == ()


@pytest.mark.parametrize("kind", ["", "bug"])
def test_other_faults_have_none(kind: str) -> None:
    assert remedies(kind, gemma(), (card(24, 23.4),), None).ways == ()


def test_a_folder_that_is_gone_leaves_another_model() -> None:
    found = remedies("input", Settings(model="/nowhere"), (card(24, 23.4),), None)
    assert found.ways == (STARTER,)
    assert "connect the disk" in found.reason


def test_a_precision_that_a_folder_is_not_packed_in(tmp_path: Path) -> None:
    settings = Settings(model=str(tmp_path), precision="bf16")
    found = remedies("input", settings, (card(24, 23.4),), None)
    assert found == Remedies(
        ways=(Remedy("Choose the precision automatically", {"precision": "auto"}), STARTER)
    )
    again = remedies("input", replace(settings, precision="auto"), (card(24, 23.4),), None)
    assert again == Remedies(ways=(STARTER,))


@pytest.mark.parametrize("kind", ["input", "weights-broken"])
def test_a_model_that_cannot_be_loaded_leaves_another_one(kind: str) -> None:
    devices = (card(24, 23.4),)
    assert remedies(kind, gemma(), devices, None) == Remedies(ways=(STARTER,))
    assert remedies(kind, Settings(), (), None).ways == ()
    assert remedies(kind, gemma(), devices, loaded_on(card(24, 5), "4-bit")).ways == ()
