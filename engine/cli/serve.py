"""`engine serve`."""

from __future__ import annotations

import sys

from engine.protocol.errors import FaultError
from engine.runtime.local_engine import LocalEngine


def serve_on_stdio() -> int:
    """Raises input where there is nothing to read from or to write to."""
    if not (sys.stdin and sys.stdout):
        raise FaultError(
            "input",
            "`engine serve` reads requests and writes events, but its standard input or output is closed.",
            "Start it with both.",
        )

    from engine.runtime.server import serve

    serve(LocalEngine)
    return 0
