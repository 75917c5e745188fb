"""What Mezzotint takes, in time and memory: `python -m tests.bench [--json] [NAME …]`.

Everything is measured on this machine, in one run; keep it otherwise idle. Nothing here fails on a figure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from tests.bench.child import ROOT, measured, start
from tests.bench.figure import Figure, percentile

STARTS = 7


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Mezzotint.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(MEASURES)}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MEASURES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for name in options.names or MEASURES:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        figures += MEASURES[name]()
    if options.json:
        print(json.dumps([figure.as_json() for figure in figures], indent=2, ensure_ascii=False))
    else:
        print(table(figures))
    return 0


def table(figures: list[Figure]) -> str:
    rows = [("", "ours", "peer", "ratio", "target", "")]
    for figure in figures:
        rows.append(
            (
                figure.name,
                f"{figure.ours:.4g} {figure.unit}",
                "" if figure.peer is None else f"{figure.peer:.4g} {figure.unit} ({figure.peer_name})",
                "" if figure.ratio is None else f"{figure.ratio:.2f}",
                figure.target,
                {True: "met", False: "MISSED", None: ""}[figure.met],
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


# ------------------------------------------------------------------ the figures


def first_paint() -> list[Figure]:
    """From starting Python to the painted window, fresh processes in turn."""
    taken: dict[str, list[float]] = {"bare": [], "app": []}
    for turn in range(STARTS + 1):
        for kind, times in taken.items():
            began = time.perf_counter()
            child = start("tests.bench.first_paint", kind)
            assert child.stdout
            if child.stdout.readline() != "painted\n":
                raise SystemExit("The window was not painted (see above).")
            if turn:  # the first turn warms the disk's cache
                times.append(1000 * (time.perf_counter() - began))
            child.communicate()
    ours, peer = (statistics.median(taken[kind]) for kind in ("app", "bare"))
    return [
        Figure(
            name="first paint",
            unit="ms",
            ours=ours,
            peer=peer,
            peer_name="bare QPlainTextEdit window",
            at_most=2.5,
            of_ratio=True,
        )
    ]


def stall() -> list[Figure]:
    longest = statistics.median(measured("stall")["longest_ms"] for _ in range(3))
    return [Figure(name="longest stall while the engine starts", unit="ms", ours=longest, at_most=50)]


def keys() -> list[Figure]:
    found = measured("keys")
    idle = found["idle_ms"]
    return [
        Figure(
            name=f"key to paint, 100,000 words, {name}, p{share}",
            unit="ms",
            ours=percentile(found["drafting_ms"][count], share / 100),
            peer=percentile(idle, share / 100),
            peer_name="idle",
            at_most=percentile(idle, share / 100) + 4 if share == 95 else None,
        )
        for name, count in (("drafting", "1"), ("three drafts", "3"), ("four drafts", "4"))
        for share in (50, 95, 99)
    ]


def long_texts() -> list[Figure]:
    figures = []
    for name, found in measured("long_texts").items():
        figures += [
            Figure(
                name=f"{name}, opening",
                unit="ms",
                ours=found["open_ms"],
                peer=found["bare_ms"],
                peer_name="bare QPlainTextEdit",
                at_most=1.5,
                of_ratio=True,
            ),
            Figure(name=f"{name}, longest stall while typing", unit="ms", ours=found["stall_ms"], at_most=50),
        ]
    return figures


def frames() -> list[Figure]:
    found = measured("frames")
    return [
        Figure(
            name=f"frame of 256 tokens, {name}, {word}",
            unit="ms",
            ours=percentile(found[field][name], share),
            at_most=at_most if word == "p99" else None,
        )
        for name, at_most in (("one draft", 8), ("four drafts", 12), ("four rewrites", 12))
        for word, field, share in (
            ("median", "wall_ms", 0.5),
            ("p99", "wall_ms", 0.99),
            ("p99, processor time", "processor_ms", 0.99),
        )
    ]


def cancels() -> list[Figure]:
    found = measured("cancels")
    return [
        Figure(
            name="Stop or Discard, window idle, longest", unit="ms", ours=max(found["idle_ms"]), at_most=100
        ),
        Figure(
            name="Stop or Discard, engine free, median",
            unit="steps",
            ours=statistics.median(found["free_steps"]),
            at_most=1,
        ),
        Figure(
            name="Stop or Discard, engine free, longest",
            unit="steps",
            ours=max(found["free_steps"]),
            at_most=1,
        ),
    ]


def memory() -> list[Figure]:
    return [
        Figure(
            name="memory of the app without its engine",
            unit="MB",
            ours=measured("memory")["resident_mb"],
            at_most=250,
        )
    ]


def history() -> list[Figure]:
    found = measured("history", "tests.bench.history_probe")
    figures = [
        Figure(name=f"history of 100,000 drafts, {kind}, longest", unit="ms", ours=max(taken), at_most=50)
        for kind, taken in found["shown_ms"].items()
    ]
    return [
        *figures,
        Figure(name="history of 100,000 drafts, one more", unit="ms", ours=found["added_ms"]),
        Figure(name="history of 100,000 drafts, on the disk", unit="MB", ours=found["mb"]),
    ]


def step() -> list[Figure]:
    command = [sys.executable, "-m", "engine", "bench", "step", "--json"]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [
        Figure(
            name=found["name"],
            unit=found["unit"],
            ours=found["ours"],
            peer=found["peer"],
            peer_name=found["peer_name"],
            at_most=0.6,
            of_ratio=True,
        )
        for found in json.loads(said)
        if found["name"] == "denoising step, fp32, 1 thread"
    ]


MEASURES: dict[str, Callable[[], list[Figure]]] = {
    measure.__name__: measure
    for measure in (first_paint, stall, keys, long_texts, frames, cancels, history, step, memory)
}


if __name__ == "__main__":
    sys.exit(main())
