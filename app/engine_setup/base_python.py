"""The Python that the engine's environment is made with: one that is here, or uv's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from app.engine_setup.commands import Uv, complaints
from app.engine_setup.messages import SetUpOrder
from engine.protocol.errors import Fault, FaultError

PYTHON_FILES = "https://releases.astral.sh/github/python-build-standalone/releases/download"
"""Where uv's own Python comes from."""
_RELEASES = "/python-build-standalone/releases/download/"
Fetch = Callable[[str, Path], None]
"""Brings the archive at an address into a folder. Raises FaultError, GivenUpError and OSError."""


def find_python(uv: Uv, version: str) -> Path | None:
    """One that is here, without an environment around it. Raises FaultError and GivenUpError."""
    found = uv(
        "--no-cache",
        "python",
        "find",
        "--no-project",
        "--system",
        "--no-python-downloads",
        version,
        may_fail=True,
    )
    return Path(found) if found else None


def provide_python(uv: Uv, version: str, order: SetUpOrder, kept: Path, fetch: Fetch) -> Path:
    """kept: where the archive of uv's own is fetched to.

    Raises FaultError, GivenUpError and OSError.
    """
    if found := find_python(uv, version):
        return found
    address, archive = _address(uv, version), None
    remedy = "Check the network connection"
    try:
        if order.folder:
            archive = _below(Path(order.folder, "python"), address)
            remedy = f"Copy it to “{archive.parent}” again"
            if not archive.is_file():
                raise FaultError("input", f"“{archive}” is not there.", "")
        elif reached := _reached(address, order.python_mirror.rstrip("/")):
            archive = _below(kept, address)
            fetch(reached, archive.parent)
        source = ("--mirror", archive.parents[1].as_uri()) if archive else ()
        uv("python", "install", "--no-bin", "--reinstall", *source, version)
    except FaultError as error:
        if error.fault.kind == "disk":
            raise
        if archive and not order.folder:  # its hash, which uv knows, is another one
            archive.unlink(missing_ok=True)
        raise _failure(error.fault, version, remedy) from error
    if found := find_python(uv, version):
        return found
    raise FaultError("set-up", f"No Python {version} could be set up.", f"Install Python {version}.")


def _address(uv: Uv, version: str) -> str:
    """Of the archive with uv's own; empty if it knows none."""
    kind = ("--only-downloads", "--show-urls", "--output-format", "json")
    known = json.loads(uv("python", "list", *kind, version))
    return str(known[0]["url"]) if known else ""


def _reached(address: str, mirror: str) -> str:
    """Where it is fetched from, so that its bytes are told; empty where uv alone can."""
    if _RELEASES not in address:
        return ""
    return "/".join((mirror, *address.split("/")[-2:])) if mirror else address


def _below(folder: Path, address: str) -> Path:
    """Where uv looks for it in a mirror: a date and a file."""
    return folder.joinpath(*unquote(address).split("/")[-2:])


def _failure(fault: Fault, version: str, remedy: str) -> FaultError:
    why = (complaints(fault.details)[-1:] if fault.kind == "set-up" else []) or [fault.message]
    message = f"No Python {version} is on this computer. {why[0]}"
    return FaultError(fault.kind, message, f"{remedy}, or install Python {version}.", fault.details)
