"""Run uv, and the environment's Python, to their end or until they are given up."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from app.engine_setup.home import EngineHome
from app.engine_setup.network import GivenUpError
from engine.hardware.processor import lower_priority
from engine.installation import UV, package_environment
from engine.protocol.errors import FaultError, reason_of

log = logging.getLogger(__name__)

_LOOK_S = 0.25
_LAST_LINES = 4
_CAUSE = "cause: "
_FULL = ("No space left on device", "os error 28", "os error 112", "Disk quota exceeded")
_TOO_LARGE = ("File too large", "os error 27", "os error 223")
_REPAIR = "Try again. If it happens again, install Mezzotint again."


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    cancelled: threading.Event,
    on_look: Callable[[], object] = lambda: None,
) -> tuple[int, str, str]:
    """→ its exit code, what it printed, and what it complained of. on_look: called several times a second.

    Raises GivenUpError, and OSError where it cannot be started.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        start_new_session=True,  # Ctrl+C in the app's terminal is the app's
    )
    lower_priority(process.pid)
    while True:
        try:
            out, told = process.communicate(timeout=_LOOK_S)
        except subprocess.TimeoutExpired:
            if cancelled.is_set():
                process.kill()
                process.communicate()
                raise GivenUpError from None
            on_look()
        else:
            return process.returncode, out.decode(errors="replace"), told.decode(errors="replace")


class Uv:
    """The bundled uv, which keeps to the engine's home and reads nobody's configuration."""

    def __init__(self, home: EngineHome, proxy: str, cancelled: threading.Event, program: Path = UV) -> None:
        self._program = program
        self._cancelled = cancelled
        foreign = ("UV_", "PIP_", "PYTHON", "VIRTUAL_ENV", "CONDA_")
        kept = ("UV_PYTHON_DOWNLOADS_JSON_URL",)
        self._environment = {
            name: value for name, value in os.environ.items() if name in kept or not name.startswith(foreign)
        }
        self._environment |= {
            "UV_CACHE_DIR": str(home.cache),
            "UV_PYTHON_INSTALL_DIR": str(home.pythons),
            "UV_NO_CONFIG": "1",
            "UV_NO_PROGRESS": "1",
            "UV_SYSTEM_CERTS": "1",
            "UV_CONCURRENT_DOWNLOADS": "2",
        }
        if proxy:
            self._environment |= {"ALL_PROXY": proxy, "HTTPS_PROXY": proxy, "HTTP_PROXY": proxy}

    def __call__(
        self, *arguments: str | Path, on_look: Callable[[], object] = lambda: None, may_fail: bool = False
    ) -> str:
        """→ what it printed; empty where it failed and may, unless it was killed or the disk is full.

        Raises FaultError and GivenUpError.
        """
        try:
            code, out, told = run((self._program, *arguments), self._environment, self._cancelled, on_look)
        except OSError as error:
            message = f"What sets the engine up cannot be started: {reason_of(error)[0]}."
            raise FaultError("set-up", message, _REPAIR, str(error)) from error
        if code == 0:
            return out.strip()
        log.info("uv %s: %s\n%s", arguments[0], code, told)
        failure = _failure(code, told)
        if may_fail and code > 0 and failure.fault.kind != "disk":
            return ""
        raise failure


def _failure(code: int, told: str) -> FaultError:
    if any(words in told for words in _FULL):
        return FaultError("disk", "The disk is full.", "Make room on it, then go on.", told)
    if any(words in told for words in _TOO_LARGE):
        return FaultError("disk", "The disk takes no file so large.", "Use another disk.", told)
    last = complaints(told)[-_LAST_LINES:]
    why = f"it was ended ({code})" if code < 0 else " ".join(last) or f"it ended with {code}"
    return FaultError("set-up", f"The engine could not be installed: {why}", _REPAIR, told)


def complaints(told: str) -> list[str]:
    """What uv complains of, and where it tells causes of causes the innermost alone."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(_CAUSE)]
    return [line for line in lines if line not in causes] + [one.removeprefix(_CAUSE) for one in causes[-1:]]


def python_environment() -> dict[str, str]:
    """For a Python of the engine's."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with suppress(KeyError):
        del variables["VIRTUAL_ENV"]
    return variables | package_environment()
