"""`engine devices` and `engine models`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TextIO

from engine.checkpoints import catalogue, files, memory_estimate, memory_plan, model_shape, units
from engine.checkpoints.catalogue import KnownModel
from engine.checkpoints.precision import suitable_precisions
from engine.cli.console import print_rows
from engine.hardware.device_groups import card_ids
from engine.hardware.nvidia import ADA, has_fp8_kernels
from engine.protocol.errors import FaultError
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


def _model_lines(rows: Rows) -> Iterator[str]:
    for row in rows:
        size, room = units.disk_text(row["disk_bytes"]), units.disk_text(row["free_disk_bytes"])
        state = "installed" if row["installed"] else f"{size} to download, {room} free on the disk"
        yield "\t".join([*(row[name] for name in ("name", "label", "source", "licence")), state])
        yield f"\t{row['good_at']}"
        for plan in row["plans"]:
            case = f"{plan['precision']}, context {plan['context_tokens']}"
            yield f"\t{case}: {units.memory_text(plan['total_bytes'])}, {plan['verdict']}"
        alone, together = (
            [f"{plan['precision']} at {plan['context_tokens']}" for plan in plans if plan["fits"]]
            for plans in (row["plans"], row.get("together", []))
        )
        if more := [case for case in together if case not in alone]:
            yield f"\tall cards together take {', '.join(more)}"


def _plans(known: KnownModel, device: Device) -> Rows:
    """The fields of MemoryPlan, and a verdict in words."""
    free, total, cards = memory_estimate.usable_bytes(device), device.total_bytes, len(card_ids(device))
    place = "this computer" if device.id == "cpu" else f"the {device.name}" if device.name else "this card"
    shape, precisions = model_shape.read_shape(known.describes), suitable_precisions(known.precisions, device)
    plans = memory_plan.memory_plans(
        shape, precisions, free, total, cards, main_free_bytes=device.main_free_bytes, device=device
    )
    names: dict[str, str] = {precision: precision for precision in known.precisions}
    verdicts = (memory_plan.plan_words(plan, place, several=cards > 1, names=names) for plan in plans)
    return [asdict(plan) | {"verdict": verdict} for plan, verdict in zip(plans, verdicts, strict=True)]
