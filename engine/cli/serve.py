"""`engine serve`."""

from __future__ import annotations

from engine.runtime.local_engine import LocalEngine


def serve_on_stdio() -> int:
    from engine.runtime.server import serve

    serve(LocalEngine)
    return 0
