"""What is whole of environments that have been in use: it is taken over, so that only the rest is fetched."""

from __future__ import annotations

import base64
import csv
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.engine_setup.fetch import sha256_of
from app.engine_setup.lock import Wheel

REQUIREMENTS = "requirements.txt"
"""In an environment: what it was made of, a wheel a line."""
_HASH = "sha256="
_TOLD_BYTES = 4 << 20
"""There are many thousands of files: not each of them is told."""


@dataclass(frozen=True)
class _File:
    path: Path
    sha256: str
    """As RECORD has it; empty for RECORD itself."""
    size_bytes: int


@dataclass(frozen=True)
class InstalledPackage:
    wheel: Wheel
    site: Path
    files: tuple[_File, ...]
    """Relative to site. Scripts stay behind: they name the Python of their environment."""

    def has(self, file: _File, cancelled: threading.Event) -> bool:
        """Whether it is there as it was installed. Raises GivenUpError."""
        path = self.site / file.path
        try:
            if not file.sha256:
                return path.is_file()
            if path.stat().st_size != file.size_bytes:
                return False
            digest = bytes.fromhex(sha256_of(path, cancelled))
        except OSError:
            return False
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.sha256

    def take_into(self, site: Path) -> None:
        """The same files under another name, where the disk can: no room is needed. Raises OSError."""
        for file in self.files:
            source, target = self.site / file.path, site / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)  # of another package with the same file
            try:
                os.link(source, target)
            except OSError:
                shutil.copy2(source, target)


def whole_packages(
    environments: Sequence[Path],
    wheels: Iterable[Wheel],
    cancelled: threading.Event,
    on_bytes: Callable[[int, int], object],
) -> list[InstalledPackage]:
    """Of these wheels: each file is read. on_bytes: takes how far that is, and the whole.

    Raises GivenUpError.
    """
    wanted = {wheel.requirement: wheel for wheel in wheels}
    found = [package for environment in environments for package in _installed(environment, wanted)]
    total = sum(file.size_bytes for package in found for file in package.files)
    done = told = 0
    whole: dict[str, InstalledPackage] = {}
    for package in found:
        good = True
        for file in package.files:
            if done >= told:
                on_bytes(done, total)
                told = done + _TOLD_BYTES
            good = good and package.has(file, cancelled)
            done += file.size_bytes
        if good:
            whole[package.wheel.requirement] = package
    return list(whole.values())


def site_packages(environment: Path) -> Path:
    """Raises OSError where there are none."""
    for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
        for found in environment.glob(pattern):
            return found
    raise FileNotFoundError(f"{environment} has no site-packages")


def _installed(environment: Path, wanted: dict[str, Wheel]) -> Iterator[InstalledPackage]:
    """As far as it can be read."""
    try:
        site = site_packages(environment)
        lines = (environment / REQUIREMENTS).read_text().splitlines()
    except (OSError, ValueError):
        return
    for wheel in filter(None, map(wanted.get, lines)):
        try:
            yield InstalledPackage(wheel, site, tuple(_recorded(site / wheel.info_folder / "RECORD")))
        except (OSError, ValueError, csv.Error):
            continue


def _recorded(record: Path) -> Iterator[_File]:
    """Raises OSError, ValueError and csv.Error for what is none."""
    with record.open(newline="", encoding="utf-8") as file:
        for path, digest, size in csv.reader(file):
            if Path(path).is_absolute() or ".." in Path(path).parts:
                continue
            if digest and not digest.startswith(_HASH):
                raise ValueError(f"{digest} is another kind of hash")
            yield _File(Path(path), digest.removeprefix(_HASH), int(size or 0))
