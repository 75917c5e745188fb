"""The faults that a user can reach, each with what to do next."""

from __future__ import annotations

import traceback
from typing import Literal

from engine.events import Failed

Kind = Literal[
    "input",
    "weights-missing",
    "weights-broken",
    "out-of-memory",
    "device-missing",
    "device-lost",
    "engine-died",
    "engine-garbled",
    "output",
    "bug",
]


class EngineError(Exception):
    """message names the offending value; remedy says what to do next; details go to the log."""

    def __init__(self, kind: Kind, message: str, remedy: str = "", details: str = "") -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.remedy = remedy
        self.details = details

    def event(self, request_id: str) -> Failed:
        return Failed(
            request_id=request_id,
            kind=self.kind,
            message=self.message,
            remedy=self.remedy,
            details=self.details,
        )


def failure(error: Exception, request_id: str) -> Failed:
    """The last event of a request that ended in this exception."""
    if isinstance(error, EngineError):
        return error.event(request_id)
    return Failed(
        request_id=request_id,
        kind="bug",
        message=f"Something in Mezzotint failed ({type(error).__name__}). Your text is untouched.",
        remedy="Try again. If it happens again, please report it with the log.",
        details="".join(traceback.format_exception(error)),
    )
