"""Make the list of an environment's parts on this computer, where this version of Mezzotint comes with none.

The versions are pinned; the files and their hashes are those that the build's index names over https.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.engine_setup.commands import Uv
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
    uv(
        *("pip", "compile", "--format", "pylock.toml", "--only-binary", ":all:"),
        *("--python-version", asked.python, "--constraint", asked.constraints),
        *pypi,
        *("--index", asked.index, "--index-strategy", "unsafe-best-match"),
        *("--output-file", found, asked.file),
    )
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
