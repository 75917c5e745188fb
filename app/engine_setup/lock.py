"""The lock of an engine environment: each package's one wheel, with its address, size and hash (PEP 751)."""

from __future__ import annotations

import hashlib
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from engine.installation import RESOURCES

LOCKS = RESOURCES / "engine"
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
        """As uv and pip read them: nothing else is installed, and nothing with another hash."""
        return "".join(f"{one.name}=={one.version} --hash=sha256:{one.sha256}\n" for one in self.wheels)


def lock_file(backend: str, locks: Path = LOCKS) -> Path:
    machine = platform.machine().lower()
    system = _SYSTEMS.get(platform.system(), platform.system().lower())
    return locks / f"pylock.{backend}-{system}-{_MACHINES.get(machine, machine)}.toml"


def read_lock(file: Path) -> Lock:
    """Raises OSError, and ValueError for what is no lock."""
    data = file.read_bytes()
    try:
        parsed = tomllib.loads(data.decode())
        wheels = tuple(map(_wheel, parsed["packages"]))
        python = str(parsed["requires-python"]).removeprefix("==").removesuffix(".*")
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{file.name} is no lock: {error!r}") from error
    return Lock(python, wheels, hashlib.sha256(data).hexdigest())


def _wheel(package: Mapping[str, Any]) -> Wheel:
    wheel = package["wheels"][0]
    return Wheel(
        package["name"], package["version"], wheel["url"], int(wheel["size"]), wheel["hashes"]["sha256"]
    )
