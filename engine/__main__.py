"""The command line: draft, serve, devices, models, bench."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TextIO, assert_never

from engine import catalogue, events, plans
from engine.asked import check_ranges
from engine.cards import card_ids
from engine.catalogue import KnownModel
from engine.errors import EngineError
from engine.events import Device, DraftRequest, LoadRequest
from engine.nvidia import ADA, has_fp8_kernels
from engine.plans import MOST_CANVASES, Plan
from engine.session import Session
from engine.terminal import Sharpening

REQUEST_ID = "cli"
USAGE_KINDS = ("input", "device-missing")

ModelRow = tuple[KnownModel, list[Plan], list[Plan]]
"""With its plans, and with those for all cards together where there are several."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.run is None:
        return _serve()
    try:
        with _own_stdout() as out:
            return int(options.run(options, out))
    except EngineError as error:
        return _complain(error.event(REQUEST_ID))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        if error.filename:  # no fault of the output's
            raise
        fault = f"The results cannot be written: {error.strerror}."
        print(f"{fault} Make room, or write elsewhere.", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine", description="The drafting engine, without a window."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    draft = commands.add_parser("draft", help="draft a paragraph and print it")
    draft.set_defaults(run=_draft)
    draft.add_argument("--before", metavar="FILE", help="the text before the caret; - is the standard input")
    draft.add_argument("--after", metavar="FILE", help="the text after the caret")
    draft.add_argument("--instruction", metavar="TEXT", default="", help="what to write (chat models)")
    draft.add_argument("--model", metavar="NAME|DIR", default="starter")
    draft.add_argument("--device", metavar="D", default="auto")
    draft.add_argument("--precision", metavar="P", default="auto", help="bf16, fp32, fp8, 4-bit, 4-bit-tight")
    draft.add_argument("--steps", metavar="N", type=int, help="at most so many steps a canvas, 1 to 128")
    draft.add_argument("--canvases", metavar="N", type=int, default=1, help=f"1 to {MOST_CANVASES}")
    draft.add_argument("--variants", metavar="N", type=int, default=1, help="1 to 4")
    draft.add_argument("--seed", metavar="N", type=int, default=0)
    draft.add_argument("--no-early-stop", action="store_true", help="take all steps")
    draft.add_argument("--events", action="store_true", help="print one JSON event per line")

    serve = commands.add_parser("serve", help="speak the protocol on standard input and output")
    serve.set_defaults(run=None)

    devices = commands.add_parser("devices", help="list the devices and their memory")
    devices.set_defaults(run=_devices)
    devices.add_argument("--json", action="store_true")

    models = commands.add_parser("models", help="list the models and what they need")
    models.set_defaults(run=_models)
    models.add_argument("--json", action="store_true")
    models.add_argument("--memory", metavar="BYTES", type=int, help="plan for a device of that much memory")

    bench = commands.add_parser("bench", help="measure the engine against the library and other peers")
    bench.set_defaults(run=_bench)
    bench.add_argument("names", metavar="NAME", nargs="*", help="of a probe; all of them without one")
    bench.add_argument("--model", metavar="NAME|DIR", default="starter")
    bench.add_argument("--device", metavar="D", default="auto")
    bench.add_argument("--json", action="store_true")
    return parser


def _draft(options: argparse.Namespace, out: TextIO) -> int:
    request = DraftRequest(
        request_id=REQUEST_ID,
        before=_read(options.before),
        after=_read(options.after),
        instruction=options.instruction,
        canvases=options.canvases,
        variants=options.variants,
        max_steps=options.steps,
        seed=options.seed,
        early_stop=not options.no_early_stop,
    )
    check_ranges(request)
    cancelled = _cancel_on_interrupt()
    _lower_priority()
    session = Session()
    load = LoadRequest(
        request_id=REQUEST_ID, model=options.model, device=options.device, precision=options.precision
    )
    show = _print_events if options.events else _print_text
    for run in (session.load(load, cancelled), session.draft(request, cancelled)):
        ended = show(run, out)
        if isinstance(ended, events.Cancelled):
            return 130
        if isinstance(ended, events.Failed):
            return _complain(ended)
    return 0


def _print_events(run: Iterator[events.Event], out: TextIO) -> events.Event | None:
    event = None
    for event in run:
        out.write(events.encode(event).decode())
        out.flush()
    return event


def _print_text(run: Iterator[events.Event], out: TextIO) -> events.Event | None:
    """On a terminal the first draft that is not finished sharpens in place."""
    sharpening = Sharpening(out) if out.isatty() else None
    event = None
    texts: dict[int, str] = {}
    for event in run:
        match event:
            case events.Loading() | events.Prefilled() | events.Committed():
                pass
            case events.Ready():
                print(f"{event.label} on {event.device.id} ({event.device.name})", file=sys.stderr)
            case events.Frame():
                if sharpening and all(variant in texts for variant in range(event.variant)):
                    sharpening.show(event)
            case events.Finished():
                texts[event.variant] = event.text
            case events.Cancelled() | events.Failed():
                pass
            case _:
                assert_never(event)
    if sharpening:
        sharpening.clear()
    if texts:
        out.write("\n".join(text + "\n" for _, text in sorted(texts.items())))
        out.flush()
    return event


def _serve() -> int:
    from engine.serve import serve

    serve(Session)
    return 0


def _devices(options: argparse.Namespace, out: TextIO) -> int:
    from engine import hardware

    present = hardware.devices()
    if fault := hardware.idle_card():
        print(fault, file=sys.stderr)
    if options.json:
        rows = [
            {"id": d.id, "name": d.name, "total_bytes": d.total_bytes, "free_bytes": d.free_bytes}
            | ({"uuid": d.uuid} if d.uuid else {})
            for d in present
        ]
        print(json.dumps(rows, indent=1, ensure_ascii=False), file=out)
        return 0
    for device in present:
        free, total = plans.memory(device.free_bytes), plans.memory(device.total_bytes)
        print(f"{device.id}\t{device.name}\t{free} of {total} free\t{device.uuid}".rstrip(), file=out)
    return 0


def _models(options: argparse.Namespace, out: TextIO) -> int:
    rows = _model_rows(options.memory)
    if not options.json:
        _print_models(rows, out)
        return 0
    values = [
        {
            "name": known.name,
            "label": known.label,
            "source": known.source,
            "licence": known.licence,
            "good_at": known.good_at,
            "installed": known.installed,
            "disk_bytes": known.download_bytes,
            "free_disk_bytes": catalogue.free_bytes(known.folder),
            "plans": [asdict(plan) for plan in table],
        }
        | ({"together": [asdict(plan) for plan in joint_table]} if joint_table else {})
        for known, table, joint_table in rows
    ]
    print(json.dumps(values, indent=1, ensure_ascii=False), file=out)
    return 0


def _model_rows(memory_bytes: int | None) -> list[ModelRow]:
    if memory_bytes is None:
        from engine import hardware

        present = hardware.devices()
        joint = next((device for device in present if len(card_ids(device)) > 1), None)
        return [
            (known, _plans(known, present[0]), _plans(known, joint) if joint else [])
            for known in catalogue.KNOWN
        ]
    if memory_bytes < 0:
        raise EngineError("input", f"The memory is {memory_bytes} bytes.", "Give a number of bytes.")
    free, fp8 = plans.usable_on_card(memory_bytes), has_fp8_kernels(ADA)
    card = Device(id="cuda:0", name="", total_bytes=0, free_bytes=memory_bytes, fp8=fp8)
    return [
        (
            known,
            plans.table(plans.read_shape(known.describes), plans.suitable(known.precisions, card), free),
            [],
        )
        for known in catalogue.KNOWN
    ]


def _print_models(rows: list[ModelRow], out: TextIO) -> None:
    for known, table, joint_table in rows:
        size, room = (
            plans.gigabytes(known.download_bytes),
            plans.gigabytes(catalogue.free_bytes(known.folder)),
        )
        state = "installed" if known.installed else f"{size} to download, {room} free on the disk"
        print(f"{known.name}\t{known.label}\t{known.source}\t{known.licence}\t{state}", file=out)
        print(f"\t{known.good_at}", file=out)
        for plan in table:
            need = plans.memory(plan.total_bytes)
            print(f"\t{plan.precision}, context {plan.context_tokens}: {need}, {plan.verdict}", file=out)
        alone = {(plan.precision, plan.context_tokens) for plan in table if plan.fits}
        fitting = [plan for plan in joint_table if plan.fits]
        if more := [plan for plan in fitting if (plan.precision, plan.context_tokens) not in alone]:
            told = ", ".join(f"{plan.precision} at {plan.context_tokens}" for plan in more)
            print(f"\tall cards together take {told}", file=out)


def _plans(known: KnownModel, device: Device) -> list[Plan]:
    free, total, cards = plans.usable_bytes(device), device.total_bytes, len(card_ids(device))
    place = "this computer" if device.id == "cpu" else f"the {device.name}"
    shape = plans.read_shape(known.describes)
    return plans.table(shape, plans.suitable(known.precisions, device), free, total, place, cards)


def _bench(options: argparse.Namespace, out: TextIO) -> int:
    from engine.bench.probes import PROBES, conditions
    from engine.bench.rows import table
    from engine.bench.setting import Setting

    names = options.names or list(PROBES)
    for name in names:
        if name not in PROBES:
            raise EngineError("input", f"There is no probe “{name}”.", f"Choose from: {', '.join(PROBES)}.")
    setting = Setting(options.model, options.device)
    print(conditions(setting), file=sys.stderr if options.json else out)
    rows = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr)
        rows += PROBES[name](setting)
    print(json.dumps(rows, indent=1, ensure_ascii=False) if options.json else table(rows), file=out)
    return 0


def _read(name: str | None) -> str:
    if name is None:
        return ""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineError("input", f"{name} cannot be read: {reason}.", "Give a text file.") from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise EngineError(
            "input", f"{name} is not UTF-8 text (byte {error.start}).", "Save it as UTF-8 first."
        ) from error


def _cancel_on_interrupt() -> threading.Event:
    """The first Ctrl+C ends the draft between two steps, the second one ends the process."""
    cancelled = threading.Event()

    def interrupt(_signal: int, _frame: object) -> None:
        if cancelled.is_set():
            os._exit(130)
        cancelled.set()

    signal.signal(signal.SIGINT, interrupt)
    return cancelled


def _lower_priority() -> None:
    """The writer's keys come first."""
    if hasattr(os, "nice"):
        os.nice(5)


def _own_stdout() -> TextIO:
    """The standard output for results alone: what torch or a library prints goes to stderr."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    return out


def _complain(failed: events.Failed) -> int:
    if failed.details:
        print(failed.details, file=sys.stderr)
    print(f"{failed.message} {failed.remedy}".strip(), file=sys.stderr)
    return 2 if failed.kind in USAGE_KINDS else 1


if __name__ == "__main__":
    sys.exit(main())
