"""`engine draft`: draft a paragraph and print it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, assert_never

from engine.cli.console import REQUEST_ID, complain, read_stdin
from engine.cli.terminal_view import TerminalView
from engine.diffusion.validation import check_ranges
from engine.hardware.processor import lower_priority
from engine.protocol import codec, events
from engine.protocol.errors import FaultError
from engine.protocol.requests import DraftPlace, DraftRequest, LoadRequest, SamplingOverrides
from engine.runtime.local_engine import CAPABILITIES, LocalEngine


def draft(options: argparse.Namespace, out: TextIO) -> int:
    before, after = _read(options.before), _read(options.after)
    request = DraftRequest(
        request_id=REQUEST_ID,
        places=(DraftPlace(before=before, after=after, instruction=options.instruction),),
        canvases=options.canvases,
        variants=options.variants,
        seed=options.seed,
        sampling=SamplingOverrides(max_steps=options.steps, early_stop=not options.no_early_stop),
    )
    check_ranges(request, CAPABILITIES.max_batch)
    cancelled = _cancel_on_interrupt()
    lower_priority()
    session = LocalEngine()
    load = LoadRequest(
        request_id=REQUEST_ID, model=options.model, device=options.device, precision=options.precision
    )
    show = _print_events if options.events else _print_text
    for run in (session.load(load, cancelled), session.draft(request, cancelled)):
        ended = show(run, out)
        if isinstance(ended, events.Cancelled):
            return 130
        if isinstance(ended, events.Failed):
            return complain(ended)
    return 0


def _print_events(run: Iterator[events.DraftEvent], out: TextIO) -> events.Event | None:
    event = None
    for event in run:
        out.write(codec.encode(event).decode())
        out.flush()
    return event


def _print_text(run: Iterator[events.DraftEvent], out: TextIO) -> events.Event | None:
    """On a terminal the first draft that is not finished sharpens in place."""
    sharpening = TerminalView(out) if out.isatty() else None
    event = None
    texts: dict[tuple[int, int], str] = {}
    for event in run:
        match event:
            case (
                events.Loading()
                | events.Prefilling()
                | events.Prefilled()
                | events.Denoising()
                | events.Committed()
            ):
                pass
            case events.Ready():
                print(f"{event.label} on {event.device.id} ({event.device.name})", file=sys.stderr)
            case events.Frame():
                if sharpening and all((event.place, variant) in texts for variant in range(event.variant)):
                    sharpening.show(event)
            case events.Finished():
                texts[event.place, event.variant] = event.text
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


def _read(name: str | None) -> str:
    if name is None:
        return ""
    try:
        data = read_stdin() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise FaultError("input", f"{name} cannot be read: {reason}.", "Give a text file.") from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise FaultError(
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
