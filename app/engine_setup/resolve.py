"""Make the list of an environment's parts on this computer, where this version of Mezzotint comes with none.

The versions are pinned; the files and their hashes are those that the build's index names over https.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from app.engine_setup.commands import Uv, complaints
from app.engine_setup.lock import UNKNOWN_SIZE, Lock, Requirements, lock_from, read_lock
from engine.protocol.errors import FaultError


def resolve(asked: Requirements, mirror: str, kept: Path, uv: Uv, size_of: Callable[[str], int]) -> Lock:
    """mirror: of PyPI, if not empty; kept: where the list of an earlier try lies; size_of: what lies at an
    address, in bytes.

    Raises FaultError, OSError, and what size_of raises.
    """
    mark = f"# {asked.digest}\n"
    try:
        if kept.read_text().startswith(mark):
            return replace(read_lock(kept), digest=asked.digest)
    except (OSError, ValueError):
        pass
    pypi = ("--default-index", f"{mirror.rstrip('/')}/simple") if mirror else ()
    found = kept.with_name("pylock.found.toml")
    try:
        uv(
            *("pip", "compile", "--format", "pylock.toml", "--only-binary", ":all:"),
            *("--python-version", asked.python, "--constraint", asked.constraints),
            *pypi,
            *("--index", asked.index, "--index-strategy", "unsafe-best-match"),
            *("--output-file", found, asked.file),
        )
    except FaultError as error:
        raise _without_list(error, asked.index) from error
    try:
        lock = lock_from(found.read_bytes(), asked.python)
    except ValueError as error:
        message = f"The list of the engine’s parts could not be made: {error}."
        raise FaultError("set-up", message, "Choose another build.") from error
    wheels = (
        replace(wheel, size_bytes=size_of(wheel.url)) if wheel.size_bytes == UNKNOWN_SIZE else wheel
        for wheel in lock.wheels
    )
    lock = replace(lock, wheels=tuple(wheels), digest=asked.digest)
    kept.write_text(mark + lock.text())
    found.unlink()
    return lock


def _without_list(error: FaultError, index: str) -> FaultError:
    """What uv complains of, in the words of a writer who has asked for a build; other faults as they are."""
    why = complaints(error.fault.details)[-1:]
    if error.fault.kind != "set-up" or error.__cause__ or not why:  # full disk; not started; killed
        return error
    message = (
        "This version of Mezzotint comes without the list of this build’s parts, and it could not be made"
        f" from {urlsplit(index).hostname}: {why[0].removeprefix('error: ').rstrip('.')}."
    )
    remedy = "Check the network connection and try again, or choose another build."
    return FaultError("network", message, remedy, error.fault.details)
