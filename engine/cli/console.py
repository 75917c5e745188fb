"""Standard output and exit codes of the command line."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

from engine.protocol import events

REQUEST_ID = "cli"
USAGE_KINDS = ("input", "device-missing")


def own_stdout() -> TextIO:
    """The standard output for results alone: what torch or a library prints goes to stderr.

    Raises OSError where it is closed.
    """
    _opened(sys.stdout).flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2 if sys.stderr else os.open(os.devnull, os.O_WRONLY), 1)
    return out


def read_stdin() -> bytes:
    """Raises OSError where it is closed."""
    return _opened(sys.stdin).buffer.read()


def _opened(stream: TextIO | None) -> TextIO:
    """Python has None for a standard stream that was closed before it began."""
    if stream is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return stream


def print_rows(
    rows: Sequence[Mapping[str, Any]], as_json: bool, out: TextIO, lines: Callable[[Any], Iterable[str]]
) -> int:
    """As a JSON list, or the lines that tell it to a reader."""
    print(json.dumps(rows, indent=1, ensure_ascii=False) if as_json else "\n".join(lines(rows)), file=out)
    return 0


def complain(failed: events.Failed) -> int:
    if failed.details:
        print(failed.details, file=sys.stderr)
    print(f"{failed.message} {failed.remedy}".strip(), file=sys.stderr)
    return 2 if failed.kind in USAGE_KINDS else 1
