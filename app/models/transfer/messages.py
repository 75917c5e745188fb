"""Messages between the app and the process that fetches a model: one JSON object per line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from engine.protocol.errors import Fault

Stage = Literal["downloading", "verifying"]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"): ...


class HubOrder(Message, frozen=True, kw_only=True, tag="hub"):
    """Download `repo` into `folder`."""

    folder: str
    repo: str
    revision: str = "main"
    """A branch, or the commit that an earlier try chose."""
    token: str = ""
    probe: bool = False
    """Fetch only what tells how large it is, under which licence it stands and whether it fits."""


class ImportOrder(Message, frozen=True, kw_only=True, tag="import"):
    """Copy the model in `source` into `folder`."""

    folder: str
    source: str


Order = HubOrder | ImportOrder
"""App → process."""


class Checked(Message, frozen=True, kw_only=True, tag="checked"):
    """It is a model of the right kind, and there is room for it, unless this was but a probe."""

    revision: str
    """The commit that is downloaded."""
    licence: str
    total_bytes: int


class Progress(Message, frozen=True, kw_only=True, tag="progress"):
    """How far a stage is."""

    stage: Stage
    done_bytes: int
    total_bytes: int
    elapsed_s: float
    """Since the process began, by its own clock."""


class Waiting(Message, frozen=True, kw_only=True, tag="waiting"):
    """Something went wrong that may pass; the next try comes in `seconds`."""

    message: str
    seconds: float


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """The model is whole and stands in its folder."""


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The process gave up; what has arrived is kept. Kinds of faults: input, not-found, access, network,
    damaged, disk, folder, unfit, died, bug.
    """

    fault: Fault


Report = Checked | Progress | Waiting | Done | Failed
"""Process → app."""
OnReport = Callable[[Report], None]


def encode(message: Order | Report) -> bytes:
    """One line, newline included."""
    return msgspec.json.encode(message) + b"\n"
