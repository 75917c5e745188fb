"""`engine devices` and `engine models`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TextIO

import msgspec

from engine.checkpoints import catalogue, files, memory_estimate, memory_plan, model_shape, units
from engine.checkpoints.catalogue import KnownModel
from engine.checkpoints.memory_plan import MemoryPlan
from engine.checkpoints.precision import suitable_precisions
from engine.checkpoints.stream_speed import stream_speed
from engine.cli.console import print_rows
from engine.hardware.device_groups import card_ids
from engine.hardware.nvidia import ADA, has_fp8_kernels
from engine.protocol.errors import FaultError, fault_of
from engine.protocol.events import Device

Rows = list[dict[str, Any]]


def list_devices(options: argparse.Namespace, out: TextIO) -> int:
    from engine.hardware import torch_devices

    present = torch_devices.devices()
    if fault := torch_devices.idle_card():
        print(fault, file=sys.stderr)
    told = ("id", "name", "total_bytes", "free_bytes")
    rows = [
        {name: getattr(device, name) for name in told} | ({"uuid": device.uuid} if device.uuid else {})
        for device in present
    ]
    return print_rows(rows, options.json, out, _device_lines)


def _device_lines(rows: Rows) -> Iterator[str]:
    for row in rows:
        free, total = units.memory_text(row["free_bytes"]), units.memory_text(row["total_bytes"])
        yield f"{row['id']}\t{row['name']}\t{free} of {total} free\t{row.get('uuid', '')}".rstrip()


def list_models(options: argparse.Namespace, out: TextIO) -> int:
    best, joint = _planned_devices(options.memory)
    if any(plan.streamed_bytes for known in catalogue.KNOWN_MODELS for plan in _memory_plans(known, best)):
        best = _with_link(best)
    told = ("name", "label", "source", "licence", "good_at", "installed")
    rows = [
        {name: getattr(known, name) for name in told}
        | {"disk_bytes": known.download_bytes, "free_disk_bytes": files.free_bytes(known.folder)}
        | {"plans": _plans(known, best)}
        | ({"together": _plans(known, joint)} if joint else {})
        for known in catalogue.KNOWN_MODELS
    ]
    return print_rows(rows, options.json, out, _model_lines)


def _planned_devices(memory_bytes: int | None) -> tuple[Device, Device | None]:
    """A card of that memory, else this machine's best device and all its cards together if it has several."""
    if memory_bytes is None:
        from engine.hardware import torch_devices

        best, *others = torch_devices.devices()
        return best, next((device for device in others if len(card_ids(device)) > 1), None)
    if memory_bytes < 0:
        raise FaultError("input", f"The memory is {memory_bytes} bytes.", "Give a number of bytes.")
    free_bytes = max(1, memory_bytes)  # 0 would be a card that does not tell
    fp8 = has_fp8_kernels(ADA)
    return Device(id="cuda:0", name="", total_bytes=0, free_bytes=free_bytes, fp8=fp8), None


def _with_link(card: Device) -> Device:
    """With how fast main memory is copied there, unless that cannot be measured now."""
    from engine.model import link_speed

    try:
        return msgspec.structs.replace(card, link_bytes_per_s=link_speed.measure_card(card))
    except Exception as error:  # a full card, say: its plans are told all the same
        fault = fault_of(error)
        print(f"How fast {card.name} is copied to is not known. {fault.message}", file=sys.stderr)
        return card


def _model_lines(rows: Rows) -> Iterator[str]:
    for row in rows:
        size, room = units.disk_text(row["disk_bytes"]), units.disk_text(row["free_disk_bytes"])
        state = "installed" if row["installed"] else f"{size} to download, {room} free on the disk"
        yield "\t".join([*(row[name] for name in ("name", "label", "source", "licence")), state])
        yield f"\t{row['good_at']}"
        for plan in row["plans"]:
            case = f"{plan['precision']}, context {plan['context_tokens']}"
            speed = f": {plan['speed']['words']}" if plan["speed"] else ""
            yield f"\t{case}: {units.memory_text(plan['total_bytes'])}, {plan['verdict']}{speed}"
        alone, together = (
            [f"{plan['precision']} at {plan['context_tokens']}" for plan in plans if plan["fits"]]
            for plans in (row["plans"], row.get("together", []))
        )
        if more := [case for case in together if case not in alone]:
            yield f"\tall cards together take {', '.join(more)}"


def _plans(known: KnownModel, device: Device) -> Rows:
    """The fields of MemoryPlan, a verdict in words, and how fast it is as far as that is known."""
    cards = len(card_ids(device))
    place = "this computer" if device.id == "cpu" else f"the {device.name}" if device.name else "this card"
    names: dict[str, str] = {precision: precision for precision in known.precisions}
    return [
        asdict(plan)
        | {"verdict": memory_plan.plan_words(plan, place, several=cards > 1, names=names)}
        | {"speed": _speed(plan, device)}
        for plan in _memory_plans(known, device)
    ]


def _memory_plans(known: KnownModel, device: Device) -> list[MemoryPlan]:
    free, total, cards = memory_estimate.usable_bytes(device), device.total_bytes, len(card_ids(device))
    shape, precisions = model_shape.read_shape(known.describes), suitable_precisions(known.precisions, device)
    return memory_plan.memory_plans(
        shape, precisions, free, total, cards, main_free_bytes=device.main_free_bytes, device=device
    )


def _speed(plan: MemoryPlan, device: Device) -> dict[str, Any] | None:
    """The fields of StreamSpeed, and what follows from them."""
    speed = stream_speed(plan, device)
    if not (speed and speed.link_bytes_per_s):
        return None
    more = {"step_s": speed.step_s, "paragraph_s": speed.paragraph_s, "words": speed.words}
    return asdict(speed) | more
