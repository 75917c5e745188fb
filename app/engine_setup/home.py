"""The folder that holds the engine's environments, its Python, and what a set-up fetches.

What counts is what active.json names: any other environment is left over from a set-up, and is purged.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from PySide6.QtCore import QLockFile

from app.documents.atomic_file import write_atomically
from app.documents.disk_size import size_on_disk
from app.documents.files import held_lock
from app.engine_setup.messages import SetUpOrder
from app.engine_setup.proxy import without_password
from engine.installation import ACTIVE_FILE, FORMAT, active_environment, engine_home
from engine.protocol.errors import FaultError
from engine.protocol.file_format import NewerFormatError, check_format

ORDER_FILE = "set-up.json"
RECORD_FILE = "mezzotint.json"
LOCK_FILE = "set-up.lock"
_LIST = "pylock.toml"
_TRASH = "gone-"
_WHEELS, _CACHE, _PYTHONS, _ENVIRONMENT = "wheels", "cache", "python", "env-"


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment was made of. Lies in it once all is installed."""

    format: int = FORMAT
    backend: str
    lock: str
    """The lock's digest."""
    torch: str = ""


@dataclass(frozen=True)
class EngineHome:
    folder: Path

    @classmethod
    def of_the_user(cls) -> EngineHome:
        return cls(engine_home())

    @property
    def wheels(self) -> Path:
        return self.folder / _WHEELS

    @property
    def parts_list(self) -> Path:
        """Of an environment's parts, where it was made here."""
        return self.folder / _LIST

    @property
    def cache(self) -> Path:
        return self.folder / _CACHE

    @property
    def pythons(self) -> Path:
        return self.folder / _PYTHONS

    @property
    def active(self) -> Path | None:
        return active_environment(self.folder)

    @property
    def is_lost(self) -> bool:
        """Whether one has been in use that is not here, or cannot be read."""
        return self.active is None and (self.folder / ACTIVE_FILE).exists()

    @property
    def record(self) -> EnvironmentRecord | None:
        """Of the environment that is in use."""
        with suppress(OSError, msgspec.DecodeError):
            if active := self.active:
                return msgspec.json.decode((active / RECORD_FILE).read_bytes(), type=EnvironmentRecord)
        return None

    @property
    def order(self) -> SetUpOrder | None:
        """Of a set-up that has not ended; as far as it can be read."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode((self.folder / ORDER_FILE).read_bytes(), type=SetUpOrder)
        return None

    def begin(self, order: SetUpOrder) -> None:
        """Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = msgspec.structs.replace(order, proxy=without_password(order.proxy))
        write_atomically(self.folder / ORDER_FILE, msgspec.json.encode(kept))

    def new_environment(self) -> Path:
        """The path of one that is to be made."""
        return self.folder / f"{_ENVIRONMENT}{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"

    def activate(self, environment: Path, record: EnvironmentRecord) -> None:
        """From the next start of a child on, the engine runs there. Raises OSError."""
        (environment / RECORD_FILE).write_bytes(msgspec.json.encode(record))
        data = json.dumps({"format": FORMAT, "environment": environment.name}).encode()
        write_atomically(self.folder / ACTIVE_FILE, data)

    def lock(self) -> QLockFile | None:
        """Of the right to change what is here; None while another window has it.

        Raises OSError, and FaultError for what a newer version of Mezzotint has set up.
        """
        try:
            for name in (ACTIVE_FILE, ORDER_FILE):
                with suppress(OSError):
                    check_format((self.folder / name).read_bytes(), FORMAT)
        except NewerFormatError as error:
            message = f"The engine in {self.folder} was set up by a newer version of Mezzotint."
            raise FaultError("newer", f"{message} Nothing there is changed.", "Use that version.") from error
        self.folder.mkdir(parents=True, exist_ok=True)
        return held_lock(self.folder / LOCK_FILE)

    def finish(self) -> None:
        """Leave no trace of a set-up but the environment in use. For the holder of the lock."""
        for file in (self.folder / ORDER_FILE, self.parts_list):
            file.unlink(missing_ok=True)
        self.purge()
        self.delete(self.wheels)
        self.delete(self.cache)

    def purge(self, *kept: Path) -> None:
        """Delete the environments that are not in use, and what is half deleted. For the lock's holder."""
        for leftover in self._leftovers():
            if leftover not in kept:
                shutil.rmtree(leftover, ignore_errors=True)

    def tried_environments(self) -> list[Path]:
        """Those that have drafted, in use or not: their Python may be gone, or what names them."""
        with suppress(OSError):
            return sorted(
                one for one in self.folder.glob(f"{_ENVIRONMENT}*") if (one / RECORD_FILE).is_file()
            )
        return []

    def delete(self, folder: Path) -> None:
        """At once or not at all: nobody takes half of it for the whole. For the holder of the lock."""
        with suppress(OSError):
            trash = folder.rename(self.folder / (_TRASH + secrets.token_hex(3)))
            shutil.rmtree(trash, ignore_errors=True)

    @property
    def has_leftovers(self) -> bool:
        """Whether there is more here than the environment in use and its Python."""
        return any(self._leftovers()) or self.wheels.exists() or self.cache.exists()

    def _leftovers(self) -> list[Path]:
        active, passing = self.active, (_ENVIRONMENT, _TRASH)
        with suppress(OSError):
            return [one for one in self.folder.iterdir() if one.name.startswith(passing) and one != active]
        return []

    def remove(self) -> None:
        """Everything but the lock. For its holder."""
        for name in (ACTIVE_FILE, ORDER_FILE):  # first what names the rest
            (self.folder / name).unlink(missing_ok=True)
        self.finish()
        self.delete(self.pythons)

    def size_bytes(self) -> int:
        return size_on_disk((self.folder,))
