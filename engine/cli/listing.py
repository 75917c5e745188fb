"""`engine devices` and `engine models`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any, TextIO

from engine.checkpoints import catalogue, files, memory_estimate, memory_plan, model_shape, units
from engine.checkpoints.catalogue import KnownModel
from engine.checkpoints.memory_plan import MemoryPlan
from engine.checkpoints.precision import suitable_precisions
from engine.hardware.device_groups import card_ids
from engine.hardware.nvidia import ADA, has_fp8_kernels
from engine.protocol.errors import FaultError
from engine.protocol.events import Device

Plans = list[dict[str, Any]]
"""The fields of MemoryPlan, and a verdict in words."""
ModelRow = tuple[KnownModel, Plans, Plans]
"""With its plans, and with those for all cards together where there are several."""


def list_devices(options: argparse.Namespace, out: TextIO) -> int:
    from engine.hardware import torch_devices

    present = torch_devices.devices()
    if fault := torch_devices.idle_card():
        print(fault, file=sys.stderr)
    if options.json:
        told = ("id", "name", "total_bytes", "free_bytes")
        rows = [
            {name: getattr(device, name) for name in told} | ({"uuid": device.uuid} if device.uuid else {})
            for device in present
        ]
        print(json.dumps(rows, indent=1, ensure_ascii=False), file=out)
        return 0
    for device in present:
        free, total = units.memory_text(device.free_bytes), units.memory_text(device.total_bytes)
        print(f"{device.id}\t{device.name}\t{free} of {total} free\t{device.uuid}".rstrip(), file=out)
    return 0


def list_models(options: argparse.Namespace, out: TextIO) -> int:
    rows = _model_rows(options.memory)
    if not options.json:
        _print_models(rows, out)
        return 0
    values = [
        {
            name: getattr(known, name)
            for name in ("name", "label", "source", "licence", "good_at", "installed")
        }
        | {"disk_bytes": known.download_bytes, "free_disk_bytes": files.free_bytes(known.folder)}
        | {"plans": table}
        | ({"together": joint_table} if joint_table else {})
        for known, table, joint_table in rows
    ]
    print(json.dumps(values, indent=1, ensure_ascii=False), file=out)
    return 0


def _model_rows(memory_bytes: int | None) -> list[ModelRow]:
    """memory_bytes: of a card to plan for; else this machine's best device, and all its cards together."""
    if memory_bytes is None:
        from engine.hardware import torch_devices

        best, *others = torch_devices.devices()
    elif memory_bytes < 0:
        raise FaultError("input", f"The memory is {memory_bytes} bytes.", "Give a number of bytes.")
    else:
        free_bytes = max(1, memory_bytes)  # 0 would be a card that does not tell
        fp8 = has_fp8_kernels(ADA)
        best, *others = [Device(id="cuda:0", name="", total_bytes=0, free_bytes=free_bytes, fp8=fp8)]
    joint = next((device for device in others if len(card_ids(device)) > 1), None)
    return [
        (known, _plans(known, best), _plans(known, joint) if joint else [])
        for known in catalogue.KNOWN_MODELS
    ]


def _print_models(rows: list[ModelRow], out: TextIO) -> None:
    for known, table, joint_table in rows:
        size, room = map(units.disk_text, (known.download_bytes, files.free_bytes(known.folder)))
        state = "installed" if known.installed else f"{size} to download, {room} free on the disk"
        print(f"{known.name}\t{known.label}\t{known.source}\t{known.licence}\t{state}", file=out)
        print(f"\t{known.good_at}", file=out)
        for plan in table:
            case = f"{plan['precision']}, context {plan['context_tokens']}"
            print(f"\t{case}: {units.memory_text(plan['total_bytes'])}, {plan['verdict']}", file=out)
        alone = [(plan["precision"], plan["context_tokens"]) for plan in table if plan["fits"]]
        fitting = [(plan["precision"], plan["context_tokens"]) for plan in joint_table if plan["fits"]]
        if more := [f"{each[0]} at {each[1]}" for each in fitting if each not in alone]:
            print(f"\tall cards together take {', '.join(more)}", file=out)


def _plans(known: KnownModel, device: Device) -> Plans:
    free, total, cards = memory_estimate.usable_bytes(device), device.total_bytes, len(card_ids(device))
    place = "this computer" if device.id == "cpu" else f"the {device.name}" if device.name else "this card"
    shape, precisions = model_shape.read_shape(known.describes), suitable_precisions(known.precisions, device)
    plans = memory_plan.memory_plans(shape, precisions, free, total, cards)
    return [asdict(plan) | {"verdict": _verdict(plan, place, cards)} for plan in plans]


def _verdict(plan: MemoryPlan, place: str, cards: int) -> str:
    have, need = "has" if cards == 1 else "have", units.memory_text(plan.total_bytes)
    if not plan.free_bytes:
        verdict = f"needs {need}; how much {place} {have} free is not known"
    elif plan.fits:
        verdict = f"fits with {units.memory_text(plan.spare_bytes)} to spare" + f" on {place}" * (cards > 1)
    else:
        smaller, packed = plan.fitting_precision_with_smaller_context, plan.fitting_precision
        choices: list[str] = ["a smaller context"] * plan.smaller_context_fits + ([packed] if packed else [])
        choices = choices or [f"{smaller} and a smaller context"] * bool(smaller)
        ways = ["close other programs"] * plan.fits_once_emptied
        ways += ["choose " + " or ".join(choices)] * bool(choices)
        lack = f"needs {units.memory_text(max(2**20, -plan.spare_bytes))} more than {place} {have} free"
        verdict = f"{lack}: {', or '.join(ways) or 'choose a smaller model'}"
    limited = f" (this model reads at most {plan.limit_tokens:,} tokens)"
    return verdict + limited * (plan.context_tokens > plan.limit_tokens)
