"""Set the engine's environment up, step by step; each can be cut short and done again.

1. Look: the folder can be written to, the list of the parts is here, or is made; what is whole of an engine
   that is here; whether there is room for the rest.
2. Python: one that is here, or uv's own.
3. Fetch the wheels that are missing, or find them in a folder.
4. Into a new environment: what is whole, and what is missing, offline, by the hashes.
5. Draft a paragraph there.
6. Only then it becomes the one that is used, and what else there was goes.
"""

from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from app.engine_setup.base_python import provide_python
from app.engine_setup.commands import Uv
from app.engine_setup.fetch import DELAYS_S, WheelFetch, sha256_of
from app.engine_setup.home import EngineHome, EnvironmentRecord
from app.engine_setup.installed import REQUIREMENTS, InstalledPackage, site_packages, whole_packages
from app.engine_setup.lock import PYTHON, Lock, Requirements, Wheel
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
        before = self._home.tried_environments()
        self._home.purge(*before)
        lock = self._lock()
        whole = whole_packages(before, lock.wheels, self._cancelled, self._on_verified)
        here = {package.wheel for package in whole}
        missing = replace(lock, wheels=tuple(one for one in lock.wheels if one not in here))
        fetch = self._fetch(missing.wheels, self._home.wheels, "downloading")
        self._check_room(missing, 0 if self._order.folder else fetch.missing_bytes)
        self._stage("python")
        kept = self._home.wheels / "python"
        python = provide_python(self._uv, lock.python, self._order, kept, self._fetch_python)
        if self._order.folder:
            self._check_folder(missing, Path(self._order.folder))
        elif missing.wheels:
            fetch.run()
        environment = self._install(lock, whole, missing, python)
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

    def _on_verified(self, done_bytes: int, total_bytes: int) -> None:
        self._on_report(Progress(stage="verifying", done_bytes=done_bytes, total_bytes=total_bytes))

    def _fetch(self, wheels: Sequence[Wheel], folder: Path, stage: Stage) -> WheelFetch:
        return WheelFetch(
            self._order, wheels, folder, self._on_report, self._cancelled, self._delays_s, stage
        )

    def _fetch_python(self, address: str, folder: Path) -> None:
        """Its hash is uv's to check."""
        size = Network(self._order.proxy, self._cancelled).size_of(address)
        archive = Wheel(f"Python {PYTHON}", "", address, size, "")
        self._fetch((archive,), folder, "python").run()

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

    def _install(self, lock: Lock, whole: Sequence[InstalledPackage], missing: Lock, python: Path) -> Path:
        wheels = Path(self._order.folder) if self._order.folder else self._home.wheels
        total = sum(_unpacked_bytes(wheels / wheel.file) for wheel in missing.wheels)
        free = shutil.disk_usage(self._home.folder).free

        def on_look() -> None:
            done = min(max(0, free - shutil.disk_usage(self._home.folder).free), total)
            self._on_report(Progress(stage="installing", done_bytes=done, total_bytes=total))

        on_look()
        self._home.delete(self._home.cache)  # a try that was cut short may have left half a package there
        environment = self._home.new_environment()
        self._uv("venv", "--no-project", "--python", python, environment)
        (environment / REQUIREMENTS).write_text(lock.requirements())
        for package in whole:
            package.take_into(site_packages(environment))
        if missing.wheels:
            fetched = environment / "fetched.txt"
            fetched.write_text(missing.requirements())
            offline = ("--offline", "--no-index", "--find-links", wheels, "--no-build", "--require-hashes")
            inside = ("--no-deps", "--python", python_of(environment), "--requirement", fetched)
            self._uv("pip", "install", *offline, *inside, on_look=on_look)
        self._home.purge(environment)
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
