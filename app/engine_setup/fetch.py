"""Fetch the wheels of a lock, each from the byte where an earlier try ended, and check them."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtNetwork import QNetworkReply

from app.engine_setup.lock import Wheel
from app.engine_setup.messages import OnReport, Progress, SetUpOrder, Stage, Waiting
from app.engine_setup.network import GivenUpError, Network, NetworkError, status_of
from engine.protocol.errors import FaultError

PYPI_FILES = "https://files.pythonhosted.org"
DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Between the tries that bring nothing; after the last one the set-up fails."""
_PART = ".part"
_PIECE_BYTES = 1 << 20
_HASHED_BYTES = 1 << 16  # without OpenSSL the built app's Python lets no other thread in meanwhile


class WheelFetch:
    """Into `folder`: one that is there under its own name has been checked, if it has a hash."""

    def __init__(
        self,
        order: SetUpOrder,
        wheels: Sequence[Wheel],
        folder: Path,
        on_report: OnReport,
        cancelled: threading.Event,
        delays_s: Sequence[float] = DELAYS_S,
        stage: Stage = "downloading",
    ) -> None:
        self._order = order
        self._wheels = wheels
        self._folder = folder
        self._on_report = on_report
        self._cancelled = cancelled
        self._delays_s = delays_s
        self._stage: Stage = stage
        self._total_bytes = sum(wheel.size_bytes for wheel in wheels)
        self._before_bytes = 0

    @property
    def missing(self) -> list[Wheel]:
        return [wheel for wheel in self._wheels if not (self._folder / wheel.file).exists()]

    @property
    def missing_bytes(self) -> int:
        return sum(wheel.size_bytes - _size(self._part(wheel)) for wheel in self.missing)

    def run(self) -> None:
        """Raises FaultError, GivenUpError and OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        network = Network(self._order.proxy, self._cancelled)
        missing = self.missing
        self._before_bytes = self._total_bytes - sum(wheel.size_bytes for wheel in missing)
        for wheel in missing:
            part = self._part(wheel)
            if _size(part) != wheel.size_bytes:
                self._patiently(network, wheel)
            self._check(wheel)
            part.rename(self._folder / wheel.file)
            self._before_bytes += wheel.size_bytes
        self._report("", 0)

    def _patiently(self, network: Network, wheel: Wheel) -> None:
        """Try until all delays have passed without a byte that is new."""
        tries = 0
        while True:
            before = _size(self._part(wheel))
            try:
                self._continue(network, wheel)
                return
            except NetworkError as error:
                if _size(self._part(wheel)) > before:
                    tries = 0
                if tries == len(self._delays_s) or not error.may_pass:
                    raise error.fault from error
                self._on_report(Waiting(message=error.fault.fault.message, seconds=self._delays_s[tries]))
                network.wait(self._delays_s[tries])
                tries += 1

    def _continue(self, network: Network, wheel: Wheel) -> None:
        """One request, from the byte where the file ends here."""
        part = self._part(wheel)
        if _size(part) > wheel.size_bytes:
            part.unlink()
        with part.open("ab") as out:
            writer = _Writer(wheel, out.fileno(), partial(self._report, wheel.name))
            network.get(self._url(wheel), _size(part), writer)
            os.fsync(out.fileno())
        if _size(part) < wheel.size_bytes:
            raise NetworkError(_ended_early(wheel), may_pass=True)

    def _check(self, wheel: Wheel) -> None:
        part = self._part(wheel)
        if wheel.sha256 and sha256_of(part, self._cancelled) != wheel.sha256:
            part.unlink()
            raise FaultError(
                "damaged",
                f"{wheel.file} is not what this version of Mezzotint was made for: it was thrown away.",
                "Try again. If it happens again, use another mirror, or none.",
            )

    def _report(self, name: str, here_bytes: int) -> None:
        done, total = self._before_bytes + here_bytes, self._total_bytes
        self._on_report(Progress(stage=self._stage, name=name, done_bytes=done, total_bytes=total))

    def _url(self, wheel: Wheel) -> str:
        mirror = self._order.mirror.rstrip("/")
        return wheel.url.replace(PYPI_FILES, mirror, 1) if mirror else wheel.url

    def _part(self, wheel: Wheel) -> Path:
        return self._folder / (wheel.file + _PART)


class _Writer:
    """Takes what a reply brings into a file, from its end on."""

    def __init__(self, wheel: Wheel, file: int, on_size: Callable[[int], None]) -> None:
        self._wheel, self._file, self._on_size = wheel, file, on_size
        self._here = os.fstat(file).st_size
        self._skip: int | None = None

    def __call__(self, reply: QNetworkReply) -> None:
        if self._skip is None:
            self._skip = self._begin(reply)
        while data := bytes(reply.read(_PIECE_BYTES).data()):
            new = data[self._skip :]
            self._skip -= len(data) - len(new)
            self._here += len(new)
            if self._here > self._wheel.size_bytes:
                os.ftruncate(self._file, 0)
                raise _wrong_size(self._wheel)
            while new:
                new = new[os.write(self._file, new) :]
            self._on_size(self._here)

    def _begin(self, reply: QNetworkReply) -> int:
        """→ how many bytes of the reply are here already: a server may not know ranges."""
        told = bytes(reply.rawHeader("Content-Range").data()).decode("latin-1")
        if bytes(reply.rawHeader("Content-Type").data()).startswith(b"text/html"):
            page = f"The engine’s parts cannot be fetched: {reply.url().host()} answers with a web page."
            login = (
                "If your network has a login page, open it in a browser first. Otherwise check the mirror."
            )
            raise FaultError("network", page, login)
        if status_of(reply) != 206:
            return self._here
        if re.match(rf"bytes {self._here}-", told):
            return 0
        os.ftruncate(self._file, 0)
        raise NetworkError(_ended_early(self._wheel), may_pass=True)


def sha256_of(path: Path, cancelled: threading.Event) -> str:
    """Raises GivenUpError and OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_HASHED_BYTES):
            if cancelled.is_set():
                raise GivenUpError
            digest.update(data)
    return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _ended_early(wheel: Wheel) -> FaultError:
    message = f"The engine’s parts cannot be fetched: {wheel.file} ended in the middle."
    return FaultError("network", message, "Try again: it goes on from where it was.")


def _wrong_size(wheel: Wheel) -> FaultError:
    message = f"What the server sends as {wheel.file} does not have the size that it should have."
    return FaultError("damaged", message, "Try again. If it happens again, use another mirror, or none.")
