"""What a set-up is asked for, and what it reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from engine.protocol.errors import Fault

Stage = Literal[
    "checking",
    "listing",
    "verifying",
    "python",
    "downloading",
    "reading",
    "installing",
    "trying",
    "clearing",
]
"""verifying: what an engine that is here has of it; reading: a folder of wheels, in place of downloading;
clearing: it is in use, what is left over goes.
"""


class SetUpOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Lies in the engine's home while its set-up is under way: what makes a half-done one visible."""

    format: int = 1
    backend: str
    folder: str = ""
    """Of wheels, in place of the network."""
    mirror: str = ""
    """In place of https://files.pythonhosted.org."""
    python_mirror: str = ""
    """In place of where uv's own Python comes from; below it a folder for each date, with its archives."""
    proxy: str = ""
    """http://… or socks5://…; the system's if empty. Its password is not written down."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a stage is. No total: nobody knows."""

    stage: Stage
    name: str = ""
    """What is being fetched."""
    done_bytes: int = 0
    total_bytes: int = 0


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Something went wrong that may pass; the next try comes in `seconds`."""

    message: str
    seconds: float


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """fault: why it could not be done; None where it was done, or given up."""

    done: bool
    fault: Fault | None = None


Report = Progress | Waiting | Ended
OnReport = Callable[[Report], object]
