"""EngineError and its kinds: the faults that a user can reach, each with what to do next."""

from __future__ import annotations

import traceback
from typing import Literal

from engine.protocol.events import Failed

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


_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "OUT_OF_DEVICE_MEMORY",
)
_NO_CODE = ("no kernel image is available", "invalid device function")
_LOST = ("CUDA error", "HIP error", "Triton Error", "DEVICE_LOST")


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
    if any(words in text for words in _NO_CODE):
        return EngineError(
            "device-missing",
            "The installed PyTorch has no code for this card.",
            f"Choose another device{_other_build()}.",
            text,
        )
    if type(error).__name__ == "AcceleratorError" or any(words in text for words in _LOST):
        return EngineError(
            "device-lost", "The device stopped working.", "Restart the engine or choose another device.", text
        )
    return None


def _other_build() -> str:
    """CUDA 13 has no code for the oldest cards, CUDA 12 none for the newest."""
    import torch  # it has failed: it is there

    command = "“python3 packaging/dev.py run”"
    if torch.version.cuda is None:
        return ""
    if torch.version.cuda.startswith("12."):
        return f", or update the card’s driver and run {command} without MEZZOTINT_TORCH"
    return f", or set MEZZOTINT_TORCH=cuda126 and run {command}"
