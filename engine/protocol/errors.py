"""FaultError and its kinds: the faults that a user can reach, each with what to do next."""

from __future__ import annotations

import errno
import traceback

import msgspec

from engine.installation import how_to_reinstall

_NO_MEMORY = (
    "out of memory",
    "can't allocate",
    "Cannot allocate memory",
    "bad_alloc",
    "could not create a primitive",
    "not enough memory",
    "paging file is too small",
    "STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "OUT_OF_DEVICE_MEMORY",
)
_NO_CODE = ("no kernel image is available", "invalid device function")
_LOST = ("CUDA error", "HIP error", "Triton Error", "DEVICE_LOST")
_FULL = ("the disk is full", "Make room on it and try again.")
_OF_FILES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENAMETOOLONG: ("its name is too long", "Choose a shorter name."),
}


class Fault(msgspec.Struct, frozen=True):
    """What went wrong, for whoever reads it: a value that crosses threads and processes."""

    kind: str
    """The engine's: input, weights-missing, weights-broken, out-of-memory, device-missing, device-lost,
    engine-died, engine-garbled, output, disk, bug.
    """
    message: str
    """Names the offending value."""
    remedy: str = ""
    """What to do next."""
    details: str = ""
    """For the log."""


class FaultError(Exception):
    """Raised for a fault that a user can reach."""

    def __init__(self, kind: str, message: str, remedy: str = "", details: str = "") -> None:
        super().__init__(message)
        self.fault = Fault(kind, message, remedy, details)


def weights_broken(
    message: str, details: str = "", remedy: str = "Download the model again, or choose another folder."
) -> FaultError:
    return FaultError("weights-broken", message, remedy, details)


def engine_missing() -> FaultError:
    """The built app has no environment for its engine yet, or it was deleted."""
    message = "To draft, Mezzotint needs its engine, which is not on this computer yet."
    return FaultError(
        "engine-missing", message, "Set it up in Settings › Engine; you can go on writing meanwhile."
    )


def fault_of(error: Exception) -> Fault:
    """The fault to report for any exception."""
    known = error if isinstance(error, FaultError) else machine_fault(error)
    if known:
        return known.fault
    return Fault(
        "bug",
        f"Something in Mezzotint failed ({type(error).__name__}). Your text is untouched.",
        "Try again. If it happens again, please report it with the log.",
        "".join(traceback.format_exception(error)),
    )


def reason_of(error: Exception) -> tuple[str, str]:
    """Why a file cannot be read or written, to be said within a sentence, and what to do about it, which is
    empty where the reason does not tell.
    """
    number, told = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
    return _OF_FILES.get(number or 0, (told, ""))


def machine_fault(error: Exception) -> FaultError | None:
    """What torch tells in words only: memory that ran out, a device that was lost. And a full disk."""
    text = str(error)
    if isinstance(error, OSError) and error.errno in _OF_FILES:
        reason, remedy = reason_of(error)
        kind, message = "disk", f"Mezzotint could not write a file: {reason}."
    elif isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        kind, message = "out-of-memory", "There is not enough memory."
        remedy = "Close other programs, or choose 4-bit, a smaller context or another device."
    elif any(words in text for words in _NO_CODE):
        kind, message = "device-missing", "The installed PyTorch has no code for this card."
        remedy = f"Choose another device{_other_build()}."
    elif type(error).__name__ == "AcceleratorError" or any(words in text for words in _LOST):
        kind, message = "device-lost", "The device stopped working."
        remedy = "Restart the engine or choose another device."
    else:
        return None
    return FaultError(kind, message, remedy, text)


def _other_build() -> str:
    """CUDA 13 has no code for the oldest cards, CUDA 12 none for the newest."""
    import torch  # it has failed: it is there

    if torch.version.cuda is None:
        return ""
    if torch.version.cuda.startswith("12."):
        return f", or update the card’s driver and {how_to_reinstall()}"
    return f", or {how_to_reinstall('cuda126')}"
