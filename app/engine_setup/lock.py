"""The lock of an engine environment: each package's one wheel, with its address, size and hash (PEP 751)."""

from __future__ import annotations

import hashlib
import json
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from engine.hardware.backend import TORCH_INDEX
from engine.installation import RESOURCES

LOCKS = RESOURCES / "engine"
PYTHON = "3.11"
"""Of the engine in the built app: what the tests run with."""
PLATFORM_BUILDS = {
    "linux-x86_64": ("cpu", "cuda", "cuda126", "rocm"),
    "linux-aarch64": ("cpu", "cuda"),
    "windows-x86_64": ("cpu", "cuda", "cuda126"),
    "macos-arm64": ("mps",),
}
UNKNOWN_SIZE = -1
_SYSTEMS = {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}
_MACHINES = {"amd64": "x86_64", "arm64": "arm64" if platform.system() == "Darwin" else "aarch64"}


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    url: str
    size_bytes: int
    sha256: str

    @property
    def file(self) -> str:
        return unquote(urlsplit(self.url).path).rpartition("/")[2]

    @property
    def requirement(self) -> str:
        """As uv and pip read it: this wheel, and none with another hash."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"

    @property
    def info_folder(self) -> str:
        """Where its RECORD lies once it is installed."""
        return "-".join(self.file.split("-")[:2]) + ".dist-info"


@dataclass(frozen=True)
class Lock:
    python: str
    """The version that the wheels are for, such as 3.11."""
    wheels: tuple[Wheel, ...]
    digest: str

    @property
    def total_bytes(self) -> int:
        return sum(wheel.size_bytes for wheel in self.wheels)

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(sorted({urlsplit(wheel.url).hostname or "" for wheel in self.wheels}))

    def version(self, name: str) -> str:
        return next((wheel.version for wheel in self.wheels if wheel.name == name), "")

    def requirements(self) -> str:
        """Nothing else is installed."""
        return "".join(f"{one.requirement}\n" for one in self.wheels)

    def text(self) -> str:
        """As read_lock() reads it."""
        lines = ["# Written by packaging/lock.py.", 'lock-version = "1.0"', 'created-by = "mezzotint"']
        lines.append(f"requires-python = {json.dumps(f'=={self.python}.*')}")
        for one in self.wheels:
            lines += [
                "",
                "[[packages]]",
                f"name = {json.dumps(one.name)}",
                f"version = {json.dumps(one.version)}",
            ]
            lines += ["[[packages.wheels]]", f"url = {json.dumps(one.url)}", f"size = {one.size_bytes}"]
            lines.append(f"hashes = {{ sha256 = {json.dumps(one.sha256)} }}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Requirements:
    """What a lock is made from, on the writer's computer, where this version comes with none."""

    file: Path
    """The engine's packages, and torch in the build's own version."""
    constraints: Path
    index: str
    """That has the build."""
    python: str
    digest: str


def parts_of(backend: str, locks: Path = LOCKS) -> Lock | Requirements:
    """What an environment of that build is made of. Raises OSError, and ValueError for what is no lock."""
    file = lock_file(backend, locks)
    if file.exists() or backend not in TORCH_INDEX:
        return read_lock(file)
    requirements = locks / f"requirements.{backend}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return Requirements(requirements, locks / "constraints.txt", TORCH_INDEX[backend], PYTHON, digest)


def this_platform() -> str:
    machine = platform.machine().lower()
    system = _SYSTEMS.get(platform.system(), platform.system().lower())
    return f"{system}-{_MACHINES.get(machine, machine)}"


def lock_file(backend: str, locks: Path = LOCKS) -> Path:
    return locks / f"pylock.{backend}-{this_platform()}.toml"


def read_lock(file: Path) -> Lock:
    """Raises OSError, and ValueError for what is no lock."""
    return lock_from(file.read_bytes())


def lock_from(data: bytes, python: str = "") -> Lock:
    """python: where the lock itself names no single version. Raises ValueError."""
    try:
        parsed = tomllib.loads(data.decode())
        wheels = tuple(map(_wheel, parsed["packages"]))
        python = python or str(parsed["requires-python"]).removeprefix("==").removesuffix(".*")
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"it is no lock: {error!r}") from error
    return Lock(python, wheels, hashlib.sha256(data).hexdigest())


def _wheel(package: Mapping[str, Any]) -> Wheel:
    wheel = package["wheels"][0]
    return Wheel(
        package["name"],
        package["version"],
        wheel["url"],
        int(wheel.get("size", UNKNOWN_SIZE)),
        wheel["hashes"]["sha256"],
    )
