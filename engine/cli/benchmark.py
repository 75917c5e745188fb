"""`engine bench`."""

from __future__ import annotations

import argparse
import sys
from typing import TextIO

from engine.cli.console import print_rows
from engine.protocol.errors import FaultError


def run_bench(options: argparse.Namespace, out: TextIO) -> int:
    from engine.bench.bench_setup import BenchSetup
    from engine.bench.probes import PROBES, conditions
    from engine.bench.report import table

    names = options.names or list(PROBES)
    for name in names:
        if name not in PROBES:
            raise FaultError("input", f"There is no probe “{name}”.", f"Choose from: {', '.join(PROBES)}.")
    setup = BenchSetup(options.model, options.device)
    print(conditions(setup), file=sys.stderr if options.json else out)
    rows = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr)
        rows += PROBES[name](setup)
    return print_rows(rows, options.json, out, table)
