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


_NO_MEMORY = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED")
_LOST = ("CUDA error", "HIP error", "Triton Error")


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
    known = error if isinstance(error, EngineError) else machine_fault(error)
    if known:
        return known.event(request_id)
    return Failed(
        request_id=request_id,
        kind="bug",
        message=f"Something in Mezzotint failed ({type(error).__name__}). Your text is untouched.",
        remedy="Try again. If it happens again, please report it with the log.",
        details="".join(traceback.format_exception(error)),
    )


def machine_fault(error: Exception) -> EngineError | None:
    """What torch tells in words only: memory that ran out, a device that was lost."""
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        return EngineError(
            "out-of-memory",
            "There is not enough memory.",
            "Close other programs, or choose 4-bit, a smaller context or another device.",
            text,
        )
    if "no kernel image is available" in text:
        return EngineError(
            "device-missing",
            "The installed PyTorch has no code for this card.",
            "Choose another device, or set MEZZOTINT_TORCH=cuda126 and run “python3 packaging/dev.py run”.",
            text,
        )
    if type(error).__name__ == "AcceleratorError" or any(words in text for words in _LOST):
        return EngineError(
            "device-lost", "The device stopped working.", "Restart the engine or choose another device.", text
        )
    return None
