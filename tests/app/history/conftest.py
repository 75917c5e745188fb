"""A history in a folder of its own, and its database beside it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.history.keeper import HistoryKeeper
from app.history.schema import database_path
from app.history.store import HistoryStore
from engine.protocol.errors import Fault
from tests.app.conftest import Run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "history"


@dataclass
class History:
    """What one window does with the database, without a thread."""

    folder: Path
    told: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keeper = HistoryKeeper(self.folder, self.told.append)

    @property
    def path(self) -> Path:
        return database_path(self.folder)

    def __call__(self, job: Callable[..., Any], *values: Any, **named: Any) -> Any:
        return self.keeper.run(lambda database: job(database, *values, **named))

    def bytes(self) -> bytes:
        """Of all its files."""
        return b"".join(file.read_bytes() for file in self.folder.iterdir())


@pytest.fixture
def history(folder: Path) -> Iterator[History]:
    made = History(folder)
    yield made
    made.keeper.close()


@pytest.fixture
def store(qapp: object, folder: Path) -> Iterator[HistoryStore]:
    made = HistoryStore(folder=folder)
    yield made
    made.close()


Read = Callable[[HistoryStore, Callable[[sqlite3.Connection], Any]], Any]


@pytest.fixture
def read(run: Run) -> Read:
    """What a job reads, once it is there."""

    def read(store: HistoryStore, job: Callable[[sqlite3.Connection], Any]) -> Any:
        async def scenario() -> Any:
            found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            store.read(job, found.set_result)
            return await found

        return run(scenario())

    return read
