"""The command line: draft, serve, devices, models, bench."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from engine.checkpoints.model_shape import MAX_CANVASES
from engine.cli.benchmark import run_bench
from engine.cli.console import REQUEST_ID, complain, own_stdout
from engine.cli.draft import draft
from engine.cli.listing import list_devices, list_models
from engine.protocol.errors import FaultError
from engine.protocol.events import Failed
from engine.runtime.local_engine import LocalEngine


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.run is None:
            return _serve()
        with own_stdout() as out:
            return int(options.run(options, out))
    except FaultError as error:
        return complain(Failed.of(REQUEST_ID, error.fault))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        if error.filename:  # no fault of the output's
            raise
        fault = f"The results cannot be written: {error.strerror}."
        print(f"{fault} Make room, or write elsewhere.", file=sys.stderr)
        return 1


def _serve() -> int:
    if not (sys.stdin and sys.stdout):
        raise FaultError(
            "input",
            "`engine serve` reads requests and writes events, but its standard input or output is closed.",
            "Start it with both.",
        )
    from engine.runtime.server import serve

    serve(LocalEngine)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine", description="The drafting engine, without a window."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace, TextIO], int] | None, about: str) -> Any:
        added = commands.add_parser(name, help=about)
        added.set_defaults(run=run)
        return added.add_argument

    option = command("draft", draft, "draft a paragraph and print it")
    option("--before", metavar="FILE", help="the text before the caret; - is the standard input")
    option("--after", metavar="FILE", help="the text after the caret")
    option("--instruction", metavar="TEXT", default="", help="what to write (chat models)")
    precisions = "bf16, fp32, fp8, 4-bit, 4-bit-tight; for a processor int8, int4"
    option("--precision", metavar="P", default="auto", help=precisions)
    option("--steps", metavar="N", type=int, help="at most so many steps a canvas, 1 to 128")
    option("--canvases", metavar="N", type=int, default=1, help=f"1 to {MAX_CANVASES}")
    option("--variants", metavar="N", type=int, default=1, help="1 to 4")
    option("--seed", metavar="N", type=int, default=0)
    option("--no-early-stop", action="store_true", help="take all steps")
    option("--events", action="store_true", help="print one JSON event per line")

    command("serve", None, "speak the protocol on standard input and output")
    devices_option = command("devices", list_devices, "list the devices and their memory")
    models_option = command("models", list_models, "list the models and what they need")
    models_option("--memory", metavar="BYTES", type=int, help="plan for a device of that much memory")
    bench_option = command("bench", run_bench, "measure the engine against the library and other peers")
    bench_option("names", metavar="NAME", nargs="*", help="of a probe; all of them without one")

    for load_option in (option, bench_option):
        load_option("--model", metavar="NAME|DIR", default="starter")
        load_option("--device", metavar="D", default="auto")
    for list_option in (devices_option, models_option, bench_option):
        list_option("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
