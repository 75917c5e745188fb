"""The command line: draft, serve, devices, models, bench."""

from __future__ import annotations

import argparse
import os
import sys

from engine.checkpoints.model_shape import MAX_CANVASES
from engine.cli.benchmark import run_bench
from engine.cli.console import REQUEST_ID, complain, own_stdout
from engine.cli.draft import draft
from engine.cli.listing import list_devices, list_models
from engine.cli.serve import serve_on_stdio
from engine.protocol.errors import FaultError
from engine.protocol.events import Failed


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.run is None:
            return serve_on_stdio()
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine", description="The drafting engine, without a window."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("draft", help="draft a paragraph and print it")
    command.set_defaults(run=draft)
    command.add_argument(
        "--before", metavar="FILE", help="the text before the caret; - is the standard input"
    )
    command.add_argument("--after", metavar="FILE", help="the text after the caret")
    command.add_argument("--instruction", metavar="TEXT", default="", help="what to write (chat models)")
    command.add_argument("--model", metavar="NAME|DIR", default="starter")
    command.add_argument("--device", metavar="D", default="auto")
    command.add_argument(
        "--precision", metavar="P", default="auto", help="bf16, fp32, fp8, 4-bit, 4-bit-tight"
    )
    command.add_argument("--steps", metavar="N", type=int, help="at most so many steps a canvas, 1 to 128")
    command.add_argument("--canvases", metavar="N", type=int, default=1, help=f"1 to {MAX_CANVASES}")
    command.add_argument("--variants", metavar="N", type=int, default=1, help="1 to 4")
    command.add_argument("--seed", metavar="N", type=int, default=0)
    command.add_argument("--no-early-stop", action="store_true", help="take all steps")
    command.add_argument("--events", action="store_true", help="print one JSON event per line")

    serve = commands.add_parser("serve", help="speak the protocol on standard input and output")
    serve.set_defaults(run=None)

    devices = commands.add_parser("devices", help="list the devices and their memory")
    devices.set_defaults(run=list_devices)
    devices.add_argument("--json", action="store_true")

    models = commands.add_parser("models", help="list the models and what they need")
    models.set_defaults(run=list_models)
    models.add_argument("--json", action="store_true")
    models.add_argument("--memory", metavar="BYTES", type=int, help="plan for a device of that much memory")

    bench = commands.add_parser("bench", help="measure the engine against the library and other peers")
    bench.set_defaults(run=run_bench)
    bench.add_argument("names", metavar="NAME", nargs="*", help="of a probe; all of them without one")
    bench.add_argument("--model", metavar="NAME|DIR", default="starter")
    bench.add_argument("--device", metavar="D", default="auto")
    bench.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
