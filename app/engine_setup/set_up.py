"""Set the engine's environment up, step by step; each can be cut short and done again.

1. Look: the folder can be written to, there is room, the list of the parts is here, or is made.
2. Python: one that is here, or uv's own.
3. Fetch the wheels, or find them in a folder.
4. Install them into a new environment, offline, by their hashes.
5. Draft a paragraph there.
6. Only then it becomes the one that is used, and what else there was goes.
"""

from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from app.engine_setup.commands import Uv, find_python
from app.engine_setup.fetch import DELAYS_S, WheelFetch, sha256_of
from app.engine_setup.home import EngineHome, EnvironmentRecord
from app.engine_setup.lock import Lock, Requirements
from app.engine_setup.messages import Ended, OnReport, Progress, SetUpOrder, Stage
from app.engine_setup.network import GivenUpError, Network
from app.engine_setup.resolve import resolve
from engine.checkpoints.units import disk_text
from engine.installation import UV, python_of
from engine.protocol.errors import FaultError, fault_of, reason_of

SPARE_BYTES = 10**9
COMPILED_BYTES = 250 * 10**6
"""What Python adds to them."""
Trial = Callable[[Path, threading.Event], None]
"""Drafts a paragraph with that Python. Raises FaultError."""


def unpacked_bytes(lock: Lock) -> int:
    """About what its wheels take on the disk once they are installed."""
    return 3 * lock.total_bytes + COMPILED_BYTES


class SetUp:
    """One try. What it takes from the outside is given to it, so that it can be tried alone."""

    def __init__(
        self,
        order: SetUpOrder,
        parts: Lock | Requirements,
        home: EngineHome,
        trial: Trial,
        on_report: OnReport,
        cancelled: threading.Event,
        *,
        uv: Path = UV,
        delays_s: Sequence[float] = DELAYS_S,
        spare_bytes: int = SPARE_BYTES,
    ) -> None:
        self._order = order
        self._parts = parts
        self._home = home
        self._trial = trial
        self._on_report = on_report
        self._cancelled = cancelled
        self._uv = Uv(home, order.proxy, cancelled, uv)
        self._delays_s = delays_s
        self._spare_bytes = spare_bytes

    def run(self) -> Ended:
        """Never raises."""
        try:
            held = self._home.lock()
            if held is None:
                busy = "Another window of Mezzotint is setting the engine up."
                raise FaultError("input", busy, "Look there, or close it.")
            try:
                self._home.begin(self._order)
                self._perform()
            finally:
                held.unlock()
        except GivenUpError:
            return Ended(done=False)
        except OSError as error:
            return Ended(done=False, fault=_of_the_disk(error, self._home.folder).fault)
        except Exception as error:
            return Ended(done=False, fault=fault_of(error))
        return Ended(done=True)

    def _perform(self) -> None:
        self._stage("checking")
        self._home.purge()
        lock = self._lock()
        fetch = WheelFetch(
            self._order, lock.wheels, self._home.wheels, self._on_report, self._cancelled, self._delays_s
        )
        self._check_room(lock, 0 if self._order.folder else fetch.missing_bytes)
        self._stage("python")
        python = self._python(lock.python)
        if self._order.folder:
            self._check_folder(lock, Path(self._order.folder))
        else:
            fetch.run()
        environment = self._install(lock, python)
        self._stage("trying")
        self._trial(python_of(environment), self._cancelled)
        if self._cancelled.is_set():
            raise GivenUpError
        record = EnvironmentRecord(backend=self._order.backend, lock=lock.digest, torch=lock.version("torch"))
        self._home.activate(environment, record)
        self._stage("clearing")
        with suppress(OSError):  # it is set up: what is left over goes another time
            self._home.finish()

    def _lock(self) -> Lock:
        if isinstance(self._parts, Lock):
            return self._parts
        if self._order.folder:
            raise FaultError(
                "input",
                "This version of Mezzotint comes without the list of this build’s parts.",
                "Set it up from the network, or choose another build.",
            )
        self._stage("listing")
        network = Network(self._order.proxy, self._cancelled)
        return resolve(self._parts, self._order.mirror, self._home.parts_list, self._uv, network.size_of)

    def _stage(self, stage: Stage) -> None:
        self._on_report(Progress(stage=stage))

    def _check_room(self, lock: Lock, missing_bytes: int) -> None:
        needed = missing_bytes + unpacked_bytes(lock) + self._spare_bytes
        free = shutil.disk_usage(self._home.folder).free
        if needed > free:
            raise FaultError(
                "disk",
                f"There is not enough room: the engine needs about {disk_text(needed)} while it is set up,"
                f" and the disk has {disk_text(free)} free.",
                "Make room on it, then go on.",
            )

    def _python(self, version: str) -> Path:
        """Of the version that the lock is for."""
        if found := find_python(self._uv, version):
            return found
        mirror = Path(self._order.folder, "python")
        if self._order.folder and mirror.is_dir():
            self._uv("python", "install", "--no-bin", "--mirror", mirror.as_uri(), version)
        else:
            self._uv("python", "install", "--no-bin", version)
        if found := find_python(self._uv, version):
            return found
        raise FaultError("set-up", f"No Python {version} could be set up.", f"Install Python {version}.")

    def _check_folder(self, lock: Lock, folder: Path) -> None:
        missing = [wheel.file for wheel in lock.wheels if not (folder / wheel.file).is_file()]
        if missing:
            raise FaultError(
                "input",
                f"“{folder}” lacks {len(missing)} of the {len(lock.wheels)} files that are needed: "
                f"{', '.join(missing[:3])}{'…' if len(missing) > 3 else ''}",
                "Choose another folder, or fetch them from the network.",
            )
        done = 0
        for wheel in lock.wheels:
            if sha256_of(folder / wheel.file, self._cancelled) != wheel.sha256:
                message = f"{wheel.file} in “{folder}” is not what this version of Mezzotint was made for."
                raise FaultError("damaged", message, "Copy it there again, or choose another folder.")
            done += wheel.size_bytes
            self._on_report(Progress(stage="reading", done_bytes=done, total_bytes=lock.total_bytes))

    def _install(self, lock: Lock, python: Path) -> Path:
        wheels = Path(self._order.folder) if self._order.folder else self._home.wheels
        total = sum(_unpacked_bytes(wheels / wheel.file) for wheel in lock.wheels)
        free = shutil.disk_usage(self._home.folder).free

        def on_look() -> None:
            done = min(max(0, free - shutil.disk_usage(self._home.folder).free), total)
            self._on_report(Progress(stage="installing", done_bytes=done, total_bytes=total))

        on_look()
        self._home.delete(self._home.cache)  # a try that was cut short may have left half a package there
        environment = self._home.new_environment()
        self._uv("venv", "--no-project", "--python", python, environment)
        requirements = environment / "requirements.txt"
        requirements.write_text(lock.requirements())
        offline = ("--offline", "--no-index", "--find-links", wheels, "--no-build", "--require-hashes")
        inside = ("--python", python_of(environment))
        self._uv("pip", "sync", *offline, *inside, requirements, on_look=on_look)
        return environment


def _unpacked_bytes(wheel: Path) -> int:
    try:
        with zipfile.ZipFile(wheel) as file:
            return sum(part.file_size for part in file.infolist())
    except zipfile.BadZipFile:  # uv will say so
        return 0


def _of_the_disk(error: OSError, folder: Path) -> FaultError:
    reason, remedy = reason_of(error)
    message = f"“{folder}” cannot be written to: {reason}."
    return FaultError("disk", message, remedy or "Allow Mezzotint to write there, then go on.", str(error))
